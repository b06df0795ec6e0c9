"""The decoded content of a source, and the rules for labels and groups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgerift.errors import DataError
from edgerift.images._shape import Size


class Part(NamedTuple):
    """One split: uint8 images `[N,C,H,W]`, int64 labels and groups `[N]`, and whether any was scaled.

    All splits of a source have one channel where all of its images are grey, else three.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    scaled: bool


class Content(NamedTuple):
    """A source's splits, `"train"` and perhaps `"test"`, and the names of its classes.

    Where the source has no class names, `numbers` are the labels that occur in it, in rising order, and the labels
    count through them. `notes` are the decisions about the source, one line each.
    """

    parts: Mapping[str, Part]
    classes: tuple[str, ...]
    numbers: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()

    def noting(self, *notes: str) -> Content:
        """Return the content with more notes, before its own."""
        return self._replace(notes=(*notes, *self.notes))


class Source(ABC):
    """A source of images."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the fingerprint of the present content, without decoding it. Raises `DataError` for a damaged file."""

    @abstractmethod
    def read(self, fingerprint: str, size: Size | None, cache: Path) -> Content:
        """Decode the images, scaled where `size` is given, or take them from `cache`. Raises `DataError`."""


class Column(NamedTuple):
    """The labels of one split as the source has them, and the class names it gives for whole numbers."""

    values: Sequence[Any]
    names: tuple[str, ...] | None


class Encoded(NamedTuple):
    """Each split's labels, int64 `[N]`, with the classes and the numbers of `Content`."""

    labels: Mapping[str, NDArray[np.int64]]
    classes: tuple[str, ...]
    numbers: tuple[int, ...] | None


def encode_labels(origin: str, columns: Mapping[str, Column]) -> Encoded:
    """Turn each split's labels into int64 `[N]` over one list of classes, the first split's.

    Whole numbers count through the class names where a split has some, else through the numbers that occur in
    any split; text is a class name, in alphabetical order. Raises `DataError` for a label that is missing, of
    another kind, or out of range of the class names.
    """
    named = next((column.names for column in columns.values() if column.names), None)
    values = {split: column.values for split, column in columns.items()}
    if named is None and all(_kinds(labels) == {int} for labels in values.values()):
        return _count(values)
    classes = named or _classes_of(origin, next(iter(values.values())))
    encoded = {}
    for split, column in columns.items():
        codes = _codes(origin, split, column, classes)
        _check_range(origin, split, codes, classes)
        encoded[split] = codes
    return Encoded(encoded, classes, None)


def _count(values: Mapping[str, Sequence[int]]) -> Encoded:
    """Count labels through the numbers that occur."""
    numbers = tuple(sorted({number for labels in values.values() for number in set(labels)}))
    codes = {number: code for code, number in enumerate(numbers)}
    encoded = {
        split: np.fromiter((codes[label] for label in labels), np.int64, len(labels))
        for split, labels in values.items()
    }
    return Encoded(encoded, tuple(str(number) for number in numbers), numbers)


def encode_groups(origin: str, values: Sequence[Any]) -> NDArray[np.int64]:
    """Turn group names into int64 `[N]`: whole numbers stay, text is numbered in alphabetical order."""
    kinds = _kinds(values)
    if kinds <= {int} and all(-(2**63) <= value < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    if kinds == {str}:
        return np.unique(np.array(values), return_inverse=True)[1].astype(np.int64)
    raise DataError(f"the groups of '{origin}' are {_names(kinds)}; all are whole numbers of 64 bits or all are text")


def _kinds(values: Sequence[Any]) -> set[type]:
    return {type(value) for value in values}


def _classes_of(origin: str, labels: Sequence[Any]) -> tuple[str, ...]:
    kinds = _kinds(labels)
    if kinds != {str}:
        raise DataError(f"the labels of '{origin}' are {_names(kinds)}; all are whole numbers or all are text")
    return tuple(sorted(set(labels)))


def _codes(origin: str, split: str, column: Column, classes: tuple[str, ...]) -> NDArray[np.int64]:
    numbers = {name: code for code, name in enumerate(classes)}
    values = column.values
    if column.names is not None and column.names != classes:
        names = dict(enumerate(column.names))
        values = [names.get(value, value) if type(value) is int else value for value in values]
    codes = np.empty(len(values), dtype=np.int64)
    for index, value in enumerate(values):
        code = numbers.get(value, -1) if isinstance(value, str) else value
        if type(code) is not int or (code < 0 and isinstance(value, str)):
            raise DataError(
                f"label {value!r} of image {index} in the {split} split of '{origin}' is no class; "
                f"classes are {_shortened(classes)}"
            )
        # An unsigned label may lie beyond int64; at its border it is still out of range.
        codes[index] = min(max(code, -(2**63)), 2**63 - 1)
    return codes


def _check_range(origin: str, split: str, codes: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    wrong = np.flatnonzero((codes < 0) | (codes >= len(classes)))
    if len(wrong):
        first = wrong[0]
        raise DataError(
            f"label {codes[first]} of image {first} in the {split} split of '{origin}' is out of range; "
            f"with {len(classes)} classes labels are 0 to {len(classes) - 1}"
        )


def _names(kinds: set[type]) -> str:
    return " and ".join(sorted("missing" if kind is type(None) else kind.__name__ for kind in kinds))


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
