"""Tables of image files read through the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgerift.errors import DataError
from edgerift.images._cache import cached
from edgerift.images._content import Column, Content, Part, encode_groups, encode_labels
from edgerift.images._decoding import ASK_FOR_SIZE, decode_table, drop_equal_channels
from edgerift.images._fingerprint import derive
from edgerift.images._notes import copies, resized_note
from edgerift.images._pixels import is_grey
from edgerift.images._shape import Size, size_text
from edgerift.images._table import Table

LAYOUT = "3"
IMAGES, LABELS, GROUPS = "{}_images.npy", "{}_labels.npy", "{}_groups.npy"


def read_tables(
    origin: str, tables: Callable[[], Mapping[str, Table]], fingerprint: str, size: Size | None, cache: Path
) -> Content:
    """Decode the tables of a source, or take what was decoded before from the cache.

    Pixels are mapped from the disk, copied on write, so that many processes share one copy and none can
    change it.
    """
    key = derive("decoded", LAYOUT, fingerprint, "None" if size is None else size_text(size))
    folder, note = cached(cache, key, lambda target: _decode(origin, tables(), size, target))
    parts = {split: _part(folder, split, scaled) for split, scaled in note["scaled"].items()}
    numbers = note["numbers"]
    return Content(
        parts,
        classes=tuple(note["classes"]),
        numbers=None if numbers is None else tuple(numbers),
        notes=tuple(note["notes"]),
    )


def describe(origin: str, split: str) -> str:
    """Word a split of a source for an error."""
    return f"the {split} split of '{origin}'"


def _decode(origin: str, tables: Mapping[str, Table], size: Size | None, target: Path) -> dict[str, Any]:
    decoded = {
        split: decode_table(describe(origin, split), table, size, target / IMAGES.format(split))
        for split, table in tables.items()
    }
    if len({one.extent for one in decoded.values()}) > 1:
        sizes = " and ".join(f"{split} images of {one.extent[0]}x{one.extent[1]}" for split, one in decoded.items())
        raise DataError(f"'{origin}' has {sizes} (height x width); {ASK_FOR_SIZE}")
    columns = {split: Column(one.labels, tables[split].names) for split, one in decoded.items()}
    labels, classes, numbers = encode_labels(origin, columns)
    for split, one in decoded.items():
        np.save(target / LABELS.format(split), labels[split])
        if one.groups is not None:
            np.save(target / GROUPS.format(split), encode_groups(origin, one.groups))
    images = {split: np.load(target / IMAGES.format(split), mmap_mode="r") for split in decoded}
    if all(map(is_grey, images.values())):
        for split in decoded:
            drop_equal_channels(target / IMAGES.format(split))
    extents = frozenset().union(*(one.extents for one in decoded.values()))
    resized = any(one.scaled for one in decoded.values())
    return {
        "classes": classes,
        "numbers": numbers,
        "notes": [
            *([resized_note(origin, extents, size)] if size is not None and resized else []),
            *(note for table in tables.values() for note in table.notes),
            *copies(origin, images),
        ],
        "scaled": {split: one.scaled for split, one in decoded.items()},
    }


def _part(folder: Path, split: str, scaled: bool) -> Part:
    groups = folder / GROUPS.format(split)
    return Part(
        images=np.load(folder / IMAGES.format(split), mmap_mode="c"),
        labels=np.load(folder / LABELS.format(split)),
        groups=np.load(groups) if groups.exists() else None,
        scaled=scaled,
    )
