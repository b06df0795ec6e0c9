"""The flatbuffers of `.tflite` files, read with the schema of LiteRT's package; no native code sees them.

All offsets of a flatbuffer are read in Python, where one that leads out of the file is an exception. What a file may
still ask for is too much: vectors of billions of entries are refused before they are walked through.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from edgerift.errors import MissingRuntimeError, ModelError

IDENTIFIER: Final = b"TFL3"
#: More entries than a vector of any classifier has.
_MOST_ENTRIES: Final = 100_000
#: What reading a damaged buffer raises.
DAMAGED: Final = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)

_Read = TypeVar("_Read")


def schema() -> Any:
    """Import the schema; raises :class:`~edgerift.errors.MissingRuntimeError` without LiteRT's package."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError:
        raise MissingRuntimeError(
            "reading .tflite files needs ai-edge-litert: pip install 'edgerift[litert]'"
        ) from None
    return schema_py_generated


def model_in(content: bytes) -> Any:
    """Find the root of a file; raises `ModelError` for one that is no `.tflite`."""
    if len(content) < 8 or content[4:8] != IDENTIFIER:
        raise ModelError("this is no .tflite file: its identifier TFL3 is missing")
    return undamaged(lambda: schema().Model.GetRootAs(content, 0))


def undamaged(read: Callable[[], _Read]) -> _Read:
    """Read something; raises `ModelError` where an offset or a number in the file makes no sense."""
    try:
        return read()
    except DAMAGED as error:
        raise ModelError(f"the .tflite file is damaged ({type(error).__name__} while reading it)") from None


def entries(table: Any, field: str, most: int = _MOST_ENTRIES) -> Iterator[Any]:
    """Walk through a vector; raises `ModelError` for one that is longer than any model needs."""
    count = length_of(table, field, most)
    read = getattr(table, field)
    return (read(index) for index in range(count))


def length_of(table: Any, field: str, most: int = _MOST_ENTRIES) -> int:
    """The length of a vector; raises `ModelError` for a longer one than `most`."""
    count = int(getattr(table, f"{field}Length")())
    if count > most:
        raise ModelError(f"the .tflite file is damaged: it has {count:,} {field}; at most {most:,} are read")
    return count


def numbers(table: Any, field: str, most: int = _MOST_ENTRIES) -> tuple[int, ...]:
    """Read a vector of whole numbers."""
    return tuple(int(number) for number in entries(table, field, most))


def text(raw: bytes | None) -> str:
    """Decode a name, shortened where nobody would read it."""
    return (raw or b"")[:200].decode("utf-8", "replace")
