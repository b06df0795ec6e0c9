"""A table of image files decoded into one array on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgerift.errors import DataError, first_line
from edgerift.images._pixels import IMAGES_AT_ONCE, Pixels, decode
from edgerift.images._shape import Size
from edgerift.images._table import Table
from edgerift.images._walk import printable

ASK_FOR_SIZE = "pass a size, such as 32 or 96x160, and all are scaled to it"


class Decoded(NamedTuple):
    """The data besides the pixels: raw labels and groups, heights and widths before scaling, and those of all now."""

    labels: list[Any]
    groups: list[Any] | None
    extents: frozenset[tuple[int, int]]
    extent: tuple[int, int]

    @property
    def scaled(self) -> bool:
        """Whether any image was scaled."""
        return self.extents != {self.extent}


def decode_table(origin: str, table: Table, size: Size | None, target: Path) -> Decoded:
    """Decode all images of a table into `target`, a `.npy` file of uint8 `[N,3,H,W]`.

    Only one batch of files is in memory at a time. Raises `DataError` for an image that cannot be decoded,
    for images of different sizes where `size` is not given, and for a table without rows.
    """
    labels: list[Any] = []
    groups: list[Any] = []
    extents: set[tuple[int, int]] = set()
    with target.open("wb") as file:
        array = _GrowingArray(file)
        for rows in table.rows():
            for source in rows.files:
                name = repr(str(source)) if isinstance(source, Path) else f"image {array.length} in {origin}"
                pixels = _decode(name, source, size)
                array.append(name, pixels.values)
                extents.add(pixels.extent)
            labels += rows.labels
            groups += rows.groups or []
        extent = array.finish(origin)
    return Decoded(labels, groups or None, frozenset(extents), extent)


def drop_equal_channels(file: Path) -> None:
    """Keep the first channel of a `.npy` file of images alone, whose other ones are equal to it."""
    images = np.load(file, mmap_mode="r")
    count, _, height, width = images.shape
    written = file.with_suffix(".grey")
    grey = np.lib.format.open_memmap(written, "w+", dtype=np.uint8, shape=(count, 1, height, width))
    for start in range(0, count, IMAGES_AT_ONCE):
        grey[start : start + IMAGES_AT_ONCE] = images[start : start + IMAGES_AT_ONCE, :1]
    grey.flush()
    written.replace(file)


def _decode(name: str, source: bytes | Path | None, size: Size | None) -> Pixels:
    if source is None:
        raise DataError(f"{name} is missing: its cell holds no bytes; remove the row")
    try:
        return decode(source, size)
    except Exception as error:  # Pillow's decoders raise errors of every kind for damaged bytes.
        raise DataError(f"{name} cannot be decoded ({printable(first_line(error))}); replace or remove it") from error


class _GrowingArray:
    """A `.npy` file of colour images of one extent whose length is known only after the last one."""

    def __init__(self, file: BinaryIO) -> None:
        self.length = 0
        self._extent = (0, 0)
        self._file = file

    def append(self, name: str, pixels: NDArray[np.uint8]) -> None:
        """Write one image `[3,H,W]`; raises `DataError` where its extent is not that of the first."""
        _, height, width = pixels.shape
        if not self.length:
            self._extent = (height, width)
            self._write_header()
        if (height, width) != self._extent:
            first = f"{self._extent[0]}x{self._extent[1]}"
            raise DataError(f"{name} is {height}x{width} and the first is {first} (height x width); {ASK_FOR_SIZE}")
        self._file.write(pixels.tobytes())
        self.length += 1

    def finish(self, origin: str) -> tuple[int, int]:
        """Write the length and return height and width; raises `DataError` where there is no image."""
        if not self.length:
            raise DataError(f"{origin} has no images; give a source that holds some")
        self._file.seek(0)
        self._write_header()
        return self._extent

    def _write_header(self) -> None:
        """Write the header; numpy pads it so that the first dimension may grow in place."""
        shape = (self.length, 3, *self._extent)
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)
