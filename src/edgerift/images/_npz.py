"""Image sets in numpy's `.npz` files, read without running code."""

from __future__ import annotations

import io
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgerift.errors import DataError
from edgerift.images._archive import Arrays, read_arrays
from edgerift.images._content import Column, Content, Part, Source, encode_groups, encode_labels
from edgerift.images._fingerprint import derive, source_digest
from edgerift.images._notes import copies, resized_note
from edgerift.images._pixels import resize_pixels, same_channels
from edgerift.images._set import ImageSet
from edgerift.images._shape import Size, extent
from edgerift.steps import write_whole

PREFIXES = {"train": "", "test": "test_"}
ARRAYS = ("classes", *(f"{prefix}{name}" for prefix in PREFIXES.values() for name in ("images", "labels", "groups")))
CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class NpzFile(Source):
    """A file with the arrays `images`, `labels`, perhaps `classes`, `groups`, and the same of a test set.

    The arrays of the test set have `test_` before their names. Images are uint8 `[N,H,W]`, `[N,H,W,C]` or
    `[N,C,H,W]` of 1, 3 or 4 channels (the fourth, opacity, is dropped).
    """

    origin: str
    path: Path

    def fingerprint(self) -> str:
        """Hash the file's bytes."""
        return derive("npz", source_digest(self.path))

    def read(self, fingerprint: str, size: Size | None, cache: Path) -> Content:
        """Return the arrays, checked; nothing is cached."""
        read = read_arrays(self.origin, self.path, ARRAYS)
        _check_names(self.origin, read)
        arrays = read.found
        images = same_channels(
            {
                split: _images(self.origin, f"{prefix}images", arrays[f"{prefix}images"])
                for split, prefix in PREFIXES.items()
                if f"{prefix}images" in arrays
            }
        )
        classes = _text(self.origin, arrays["classes"]) if "classes" in arrays else None
        columns = {split: Column(_column(self.origin, arrays, f"{PREFIXES[split]}labels"), classes) for split in images}
        labels, names, numbers = encode_labels(self.origin, columns)
        parts = {split: self._part(arrays, split, images[split], labels[split], size) for split in images}
        extents = {(part.shape[2], part.shape[3]) for part in images.values()}
        return Content(parts, names, numbers, self._notes(read, parts, extents, size))

    def _notes(
        self, read: Arrays, parts: Mapping[str, Part], extents: Set[tuple[int, int]], size: Size | None
    ) -> tuple[str, ...]:
        notes = copies(self.origin, {split: part.images for split, part in parts.items()})
        if size is not None and extents != {extent(size)}:
            notes = (resized_note(self.origin, extents, size), *notes)
        if read.others:
            notes = (
                f"the arrays of '{self.origin}' with other names are not read: {', '.join(read.others[:5])}",
                *notes,
            )
        return notes

    def _part(
        self,
        arrays: Mapping[str, NDArray[Any]],
        split: str,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        size: Size | None,
    ) -> Part:
        prefix = PREFIXES[split]
        columns = {"labels": len(labels)}
        groups = None
        if f"{prefix}groups" in arrays:
            groups = encode_groups(self.origin, _column(self.origin, arrays, f"{prefix}groups"))
            columns["groups"] = len(groups)
        for column, length in columns.items():
            if length != len(images):
                raise DataError(
                    f"'{self.origin}' has {len(images)} {prefix}images and {length} {prefix}{column}; "
                    "each image has one"
                )
        scaled = size is not None and images.shape[2:] != extent(size)
        return Part(resize_pixels(images, size) if size is not None and scaled else images, labels, groups, scaled)


def save(image_set: ImageSet, path: Path, *, test: ImageSet | None = None) -> None:
    """Write an image set, and perhaps the test set that goes with it, as an `.npz` that `load` reads.

    The images, labels, class names and groups are kept; the name and the augmentation are not. Raises `DataError` for
    another suffix or a test set of other classes, and `StoreError` when the disk cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise DataError(f"an image set cannot be saved as '{path.name}'; its name ends in .npz")
    if test is not None and test.classes != image_set.classes:
        raise DataError(f"'{test.name}' has other classes than '{image_set.name}'; a file holds one list of classes")
    arrays: dict[str, Any] = {"classes": np.array(image_set.classes, dtype=np.str_)}
    for prefix, part in zip(PREFIXES.values(), (image_set, test), strict=True):
        if part is not None:
            arrays |= {
                f"{prefix}images": part.images.cpu().numpy(),
                f"{prefix}labels": part.labels.cpu().numpy(),
            }
            if part.groups is not None:
                arrays[f"{prefix}groups"] = part.groups.cpu().numpy()
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def _check_names(origin: str, read: Arrays) -> None:
    names = (*read.found, *read.others)
    wanted = {"images", "labels"}
    if any(name.startswith("test_") for name in names):
        wanted |= {"test_images", "test_labels"}
    missing = sorted(wanted - set(read.found))
    if missing:
        raise DataError(
            f"'{origin}' has no array {' and '.join(missing)}; it has {', '.join(names[:8]) or 'none'}; "
            "an .npz of images has images [N,H,W], [N,H,W,C] or [N,C,H,W] and labels [N]"
        )


def _column(origin: str, arrays: Mapping[str, NDArray[Any]], name: str) -> list[Any]:
    values = arrays[name]
    if values.ndim != 1 or values.dtype.kind not in "iuU":
        raise DataError(
            f"{name} of '{origin}' are {values.dtype} {list(values.shape)}; they are whole numbers or text [N]"
        )
    column: list[Any] = values.tolist()
    return column


def _text(origin: str, classes: NDArray[Any]) -> tuple[str, ...]:
    if classes.ndim != 1 or classes.dtype.kind != "U" or not len(classes):
        raise DataError(f"classes of '{origin}' are {classes.dtype} {list(classes.shape)}; they are text [K]")
    return tuple(str(name) for name in classes)


def _images(origin: str, name: str, images: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert images of any allowed layout to `[N,C,H,W]` of 1 or 3 channels."""
    given = f"{name} of '{origin}' are {images.dtype} {list(images.shape)}"
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise DataError(f"{given}; they are uint8 [N,H,W], [N,H,W,C] or [N,C,H,W]")
    if not len(images):
        raise DataError(f"{name} of '{origin}' are none; give a file that holds some")
    if images.ndim == 3:
        images = images[:, None]
    elif images.shape[3] in CHANNELS and images.shape[1] not in CHANNELS:
        images = images.transpose(0, 3, 1, 2)
    elif images.shape[1] not in CHANNELS or images.shape[3] in CHANNELS:
        raise DataError(f"{given}; one of the dimensions 1 and 3, not both, is the channels: 1, 3 or 4")
    return np.ascontiguousarray(images[:, :3])
