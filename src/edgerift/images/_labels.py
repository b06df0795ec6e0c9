"""The classes of labels that are numbers without names."""

from __future__ import annotations

from typing import Literal

import numpy as np

from edgerift.errors import DataError
from edgerift.images._content import Content
from edgerift.images._notes import about_classes

Labels = Literal["as-is", "renumbered"]
"""Numbers are classes as they are, or the classes that occur are counted from 0."""

MOST_CLASSES = 65_536


def settle_labels(origin: str, content: Content, labels: Labels | None) -> Content:
    """Map every label to its class, and report classes without images.

    Numbers without class names are taken as they are where they are contiguous from 0. Raises `DataError` where they do
    not and `labels` is not given, and where they cannot be taken as they are.
    """
    if labels == "renumbered":
        settled = _renumbered(content)
    elif content.numbers is not None:
        settled = _as_they_are(origin, content, content.numbers, labels)
    else:
        settled = content
    by_split = {split: part.labels for split, part in settled.parts.items()}
    return settled._replace(notes=(*settled.notes, *about_classes(origin, settled.classes, by_split)))


def reordered(origin: str, content: Content, classes: tuple[str, ...]) -> Content:
    """Give the classes the order of `classes`; raises `DataError` unless they are the same ones, each once."""
    if sorted(classes) != sorted(content.classes) or len(set(classes)) < len(classes):
        raise DataError(
            f"the classes of '{origin}' cannot be reordered by {len(classes)} names: they are "
            f"{len(content.classes)}, or others; name each of them once"
        )
    places = np.array([classes.index(name) for name in content.classes], dtype=np.int64)
    parts = {split: part._replace(labels=places[part.labels]) for split, part in content.parts.items()}
    return content._replace(parts=parts, classes=classes)


def _renumbered(content: Content) -> Content:
    """Drop classes without images."""
    used = np.unique(np.concatenate([part.labels for part in content.parts.values()]))
    parts = {split: part._replace(labels=np.searchsorted(used, part.labels)) for split, part in content.parts.items()}
    return content._replace(parts=parts, classes=tuple(content.classes[code] for code in used), numbers=None)


def _as_they_are(origin: str, content: Content, numbers: tuple[int, ...], labels: Labels | None) -> Content:
    count = len(numbers)
    if count <= MOST_CLASSES and numbers == tuple(range(count)):
        return content._replace(numbers=None)
    way_out = f"labels 'renumbered' (--class-labels renumbered) makes {count} classes named {_few(numbers)} of them"
    for number in (numbers[0], numbers[-1]):
        if not 0 <= number < MOST_CLASSES:
            raise DataError(
                f"label {number} of {_place(content, numbers.index(number))} of '{origin}' is out of range; "
                f"without class names labels are 0 to {MOST_CLASSES - 1}, or {way_out}"
            )
    if labels is None:
        missing = next(code for code, number in enumerate(numbers) if number != code)
        raise DataError(
            f"the labels of '{origin}' are {count} different numbers from {numbers[0]} to {numbers[-1]} without class "
            f"names; {way_out}, 'as-is' makes {numbers[-1] + 1} classes, of which {missing} has no image"
        )
    values = np.array(numbers, dtype=np.int64)
    parts = {split: part._replace(labels=values[part.labels]) for split, part in content.parts.items()}
    return content._replace(parts=parts, classes=tuple(map(str, range(numbers[-1] + 1))), numbers=None)


def _place(content: Content, code: int) -> str:
    for split, part in content.parts.items():
        found = np.flatnonzero(part.labels == code)
        if len(found):
            return f"image {found[0]} in the {split} split"
    return "no image"


def _few(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers[:3])) + (", ..." if len(numbers) > 3 else "")
