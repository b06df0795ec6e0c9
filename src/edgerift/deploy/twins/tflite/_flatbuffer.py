"""The flatbuffers of `.tflite` files, read with the schema of LiteRT's package; no native code sees them.

All offsets of a flatbuffer are read in Python, where one that leads out of the file is an exception. What a file may
still ask for is too much: vectors of billions of entries are refused before they are walked through; see `Walk`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, TypeVar, final

from edgerift.errors import MissingRuntimeError, ModelError

IDENTIFIER: Final = b"TFL3"
#: Entries beside those that a file has room for: strings and vectors of no length.
_FEW: Final = 1000
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


@final
class Walk:
    """A walk through a file's vectors and names, which takes no more entries and bytes than the file is large.

    Offsets may lead to the same place again and again, so that a small file looks like a huge one.
    """

    def __init__(self, content: bytes) -> None:
        """Start with as many entries as there are bytes."""
        self._left = len(content) + _FEW

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ModelError("the .tflite file is damaged: its parts are larger than the file")

    def count(self, table: Any, field: str) -> int:
        """The length of a vector."""
        count = int(getattr(table, f"{field}Length")())
        self._take(count)
        return count

    def entries(self, table: Any, field: str) -> list[Any]:
        """Walk through a vector of tables."""
        count, read = self.count(table, field), getattr(table, field)
        return [read(index) for index in range(count)]

    def numbers(self, table: Any, field: str) -> tuple[Any, ...]:
        """Read a vector of numbers."""
        if not self.count(table, field):
            return ()
        return tuple(getattr(table, f"{field}AsNumpy")().tolist())

    def text(self, raw: bytes | None) -> str:
        """Decode a name, shortened where nobody would read it."""
        self._take(len(raw or b""))
        return (raw or b"")[:200].decode("utf-8", "replace")
