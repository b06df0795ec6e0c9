"""What a `.tflite` file's metadata says of its image and its classes.

The metadata are a flatbuffer of their own (identifier M001) in a buffer of the model; files that it names, such as the
labels, are in a zip archive behind the model.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from edgerift.deploy.twins.tflite._flatbuffer import undamaged
from edgerift.errors import ModelError

METADATA: Final = "TFLITE_METADATA"
_IDENTIFIER: Final = b"M001"
_MOST_ENTRIES: Final = 1000
_LARGEST_LABELS: Final = 2**20

#: Positions of fields in the schema's tables.
_SUBGRAPHS: Final = 3
_INPUTS, _OUTPUTS = 2, 3
_CONTENT, _UNITS, _FILES = 3, 4, 6
_FILE_NAME, _FILE_KIND = 0, 2
_COLOURS: Final = {1: "rgb", 2: "grey"}
_IMAGE: Final = 2
_NORMALIZATION: Final = 1
_AXIS_LABELS: Final = 2


@dataclass(frozen=True)
class Described:
    """How grey levels are normalised, `(level - mean) / std`, the image's colours, and labels; empty where untold."""

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    colours: str = ""
    labels: tuple[str, ...] = ()


class _Table:
    """A flatbuffer's table: fields by their position; what leads out of the buffer raises."""

    def __init__(self, content: bytes, place: int) -> None:
        self.content, self.place = content, place
        self._fields = place - self._number("<i", place)
        self._size = self._number("<H", self._fields)

    def _number(self, kind: str, place: int) -> Any:
        if place < 0:
            raise ValueError("an offset leads out of the buffer")
        return struct.unpack_from(kind, self.content, place)[0]

    def _field(self, position: int) -> int:
        entry = 4 + 2 * position
        offset = self._number("<H", self._fields + entry) if entry < self._size else 0
        return self.place + offset if offset else 0

    def byte(self, position: int) -> int:
        """A number of one byte, 0 by default."""
        place = self._field(position)
        return int(self._number("<b", place)) if place else 0

    def table(self, position: int) -> _Table | None:
        """A table inside of this one."""
        place = self._field(position)
        return _Table(self.content, place + self._number("<I", place)) if place else None

    def tables(self, position: int) -> list[_Table]:
        """A vector of tables."""
        return [_Table(self.content, place + self._number("<I", place)) for place in self._places(position)]

    def numbers(self, position: int) -> tuple[float, ...]:
        """A vector of float32 numbers."""
        return tuple(float(self._number("<f", place)) for place in self._places(position))

    def text(self, position: int) -> str:
        """A string."""
        place = self._field(position)
        if not place:
            return ""
        start = place + self._number("<I", place)
        length = min(self._number("<I", start), 1000)
        return self.content[start + 4 : start + 4 + length].decode("utf-8", "replace")

    def _places(self, position: int) -> list[int]:
        place = self._field(position)
        if not place:
            return []
        start = place + self._number("<I", place)
        count = self._number("<I", start)
        if count > _MOST_ENTRIES:
            raise ModelError(f"the metadata of the .tflite file are damaged: {count:,} entries")
        return [start + 4 + 4 * index for index in range(count)]


def described(content: bytes, metadata: Mapping[str, memoryview]) -> Described:
    """Read the metadata of a file's content, from the model's named buffers; nothing where there are none.

    Raises `ModelError` for damaged ones.
    """
    raw = bytes(metadata.get(METADATA, b""))
    if raw[4:8] != _IDENTIFIER:
        return Described()
    return undamaged(lambda: _described(content, raw))


def _described(content: bytes, raw: bytes) -> Described:
    root = _Table(raw, struct.unpack_from("<I", raw, 0)[0])
    graphs = root.tables(_SUBGRAPHS)
    if not graphs:
        return Described()
    inputs, outputs = graphs[0].tables(_INPUTS), graphs[0].tables(_OUTPUTS)
    mean, std = _normalization(inputs[0]) if inputs else ((), ())
    return Described(mean, std, _colours(inputs), _labels(content, outputs))


def _normalization(tensor: _Table) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for unit in tensor.tables(_UNITS):
        options = unit.table(1)
        if unit.byte(0) == _NORMALIZATION and options is not None:
            return options.numbers(0), options.numbers(1)
    return (), ()


def _colours(inputs: list[_Table]) -> str:
    content = inputs[0].table(_CONTENT) if inputs else None
    properties = None if content is None else content.table(1)
    if content is None or properties is None or content.byte(0) != _IMAGE:
        return ""
    return _COLOURS.get(properties.byte(0), "")


def _labels(content: bytes, outputs: list[_Table]) -> tuple[str, ...]:
    """Read the file of labels that the first output names, one a line."""
    files = outputs[0].tables(_FILES) if outputs else []
    names = [file.text(_FILE_NAME) for file in files if file.byte(_FILE_KIND) == _AXIS_LABELS]
    if not names:
        return ()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            found = archive.getinfo(names[0])
            if found.file_size > _LARGEST_LABELS:
                raise ModelError(f"the labels '{names[0]}' in the .tflite file have {found.file_size:,} bytes")
            with archive.open(found) as file:
                text = file.read(_LARGEST_LABELS).decode("utf-8", "replace")
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, OSError):
        return ()  # Named, and not there: the rest of the file is as good.
    return tuple(text.splitlines())
