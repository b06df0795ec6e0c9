"""Notes about the images of a source."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edgerift.images._shape import Size, extent

_NUMBER = re.compile("[0-9]{1,18}")


def copies(origin: str, images: Mapping[str, NDArray[np.uint8]]) -> tuple[str, ...]:
    """Report how many test images are training images too; without a test split, how many are duplicates.

    Images `[N,C,H,W]` are the same where all their pixels are.
    """
    digests = {split: [_digest(image) for image in part] for split, part in images.items()}
    known = set(digests["train"])
    if "test" in digests:
        count = sum(digest in known for digest in digests["test"])
        text = (
            f"{count} of the {len(digests['test'])} test images of '{origin}' are training images too, pixel by pixel"
        )
        return (text,) if count else ()
    count = len(digests["train"]) - len(known)
    text = f"{count} images of '{origin}' are copies of others, and may be trained and judged on"
    return (text,) if count else ()


def resized_note(origin: str, extents: Collection[tuple[int, int]], size: Size) -> str:
    """Report that images were resized; `extents` are the heights and widths that they had, or some of them.

    >>> resized_note("mnist", [(28, 28)], 32)
    "the images of 'mnist' are resized from 28x28 to 32x32 pixels (height x width)"
    """
    (height, width), *others = extents
    before = "several sizes" if others else f"{height}x{width}"
    height, width = extent(size)
    return f"the images of '{origin}' are resized from {before} to {height}x{width} pixels (height x width)"


def about_classes(origin: str, classes: Sequence[str], labels: Mapping[str, NDArray[np.int64]]) -> tuple[str, ...]:
    """Report classes without images, or without training images, and a surprising order."""
    notes = []
    seen = {split: set(np.unique(part).tolist()) for split, part in labels.items()}
    empty = [name for code, name in enumerate(classes) if code not in set().union(*seen.values())]
    if empty:
        notes.append(f"{len(empty)} of the {len(classes)} classes of '{origin}' have no image: {_few(empty)}")
    unlearned = [name for code, name in enumerate(classes) if code in seen.get("test", set()) - seen["train"]]
    if unlearned:
        notes.append(f"{len(unlearned)} classes of '{origin}' have test images alone: {_few(unlearned)}")
    if list(classes) == sorted(classes) and all(_NUMBER.fullmatch(name) for name in classes):
        moved = [code for code, name in enumerate(sorted(classes, key=int)) if name != classes[code]]
        if moved:
            notes.append(
                f"the classes of '{origin}' are in alphabetical order, not in that of their numbers: "
                f"class {moved[0]} is {classes[moved[0]]!r}"
            )
    return tuple(notes)


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()
