"""A table of image files decoded into one array on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgerift.errors import DataError, first_line
from edgerift.images._pixels import decode
from edgerift.images._table import Table
from edgerift.images._walk import printable

ASK_FOR_SIZE = "pass a size, such as 32, and all are scaled to one square"


class Decoded(NamedTuple):
    """The data besides the pixels: raw labels and groups, whether any image was scaled, and the side of all."""

    labels: list[Any]
    groups: list[Any] | None
    scaled: bool
    side: int


def decode_table(origin: str, table: Table, size: int | None, target: Path) -> Decoded:
    """Decode all images of a table into `target`, a `.npy` file of uint8 `[N,3,S,S]`.

    Only one batch of files is in memory at a time. Raises `DataError` for an image that cannot be decoded,
    for images of different sizes or ones that are not square where `size` is not given, and for a table
    without rows.
    """
    labels: list[Any] = []
    groups: list[Any] = []
    scaled = False
    with target.open("wb") as file:
        array = _GrowingArray(file)
        for rows in table.rows():
            for source in rows.files:
                name = repr(str(source)) if isinstance(source, Path) else f"image {array.length} in {origin}"
                pixels, changed = _decode(name, source, size)
                array.append(name, pixels)
                scaled |= changed
            labels += rows.labels
            groups += rows.groups or []
        side = array.finish(origin)
    return Decoded(labels, groups or None, scaled, side)


def _decode(name: str, source: bytes | Path | None, size: int | None) -> tuple[NDArray[np.uint8], bool]:
    if source is None:
        raise DataError(f"{name} is missing: its cell holds no bytes; remove the row")
    try:
        return decode(source, size)
    except Exception as error:  # Pillow's decoders raise errors of every kind for damaged bytes.
        raise DataError(f"{name} cannot be decoded ({printable(first_line(error))}); replace or remove it") from error


class _GrowingArray:
    """A `.npy` file of square colour images whose length is known only after the last one."""

    def __init__(self, file: BinaryIO) -> None:
        self.length = 0
        self._side = 0
        self._file = file

    def append(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Write one image `[3,S,S]`; raises `DataError` where its extent is not that of the first."""
        _, height, width = pixels.shape
        if not self._side:
            self._side = width
            self._write_header()
        if height != width:
            raise DataError(f"{name} is not square ({width}x{height}); {ASK_FOR_SIZE}")
        if width != self._side:
            raise DataError(f"{name} is {width}x{height} and the first is {self._side}x{self._side}; {ASK_FOR_SIZE}")
        self._file.write(pixels.tobytes())
        self.length += 1

    def finish(self, origin: str) -> int:
        """Write the length and return the side; raises `DataError` where there is no image."""
        if not self.length:
            raise DataError(f"{origin} has no images; give a source that holds some")
        self._file.seek(0)
        self._write_header()
        return self._side

    def _write_header(self) -> None:
        """Write the header; numpy pads it so that the first dimension may grow in place."""
        shape = (self.length, 3, self._side, self._side)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
