"""Where two programs, or the layers of two files, differ: by layer and index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from edgerift.deploy import Program, StoredLayer
from edgerift.verify._document import Place


class Difference(NamedTuple):
    """A tensor or an operation that differs: its name, how many of its numbers do, and the first of them."""

    name: str
    numbers: int
    places: tuple[Place, ...]


def program_differences(found: Program, expected: Program, most: int = 20) -> list[Difference]:
    """List the tensors and operations of a program that are not those of another one, bit for bit."""
    tensors = sorted({*found.tensors, *expected.tensors})
    listed = [
        difference
        for name in tensors
        if (difference := tensor_difference(name, found.tensors.get(name), expected.tensors.get(name), most))
    ]
    ours, theirs = ({entry.name: entry for entry in one.operations} for one in (found, expected))
    names = dict.fromkeys([*ours, *theirs])
    listed += [Difference(name, 1, ()) for name in names if ours.get(name) != theirs.get(name)]
    if [entry.name for entry in found.operations] != [entry.name for entry in expected.operations] and not listed:
        listed.append(Difference("the order of the operations", 1, ()))
    if (found.output, found.target, found.shape) != (expected.output, expected.target, expected.shape):
        listed.append(Difference("output, target or shape", 1, ()))
    return listed


def layer_differences(
    found: Sequence[StoredLayer], expected: Sequence[StoredLayer], most: int = 20
) -> list[Difference]:
    """List the tensors of a file's layers that are not those of another file, in its order."""
    if len(found) != len(expected):
        return [Difference(f"{len(found)} layers in place of {len(expected)}", 1, ())]
    return list(_of_layers(found, expected, most))


def _of_layers(found: Sequence[StoredLayer], expected: Sequence[StoredLayer], most: int) -> Iterator[Difference]:
    for ours, theirs in zip(found, expected, strict=True):
        for kind in ("codes", "scale", "zero_point", "bias"):
            name = ours.name if kind == "codes" else f"{ours.name}.{kind}"
            difference = tensor_difference(name, getattr(ours, kind), getattr(theirs, kind), most)
            if difference is not None:
                yield difference


def tensor_difference(name: str, found: Tensor | None, expected: Tensor | None, most: int) -> Difference | None:
    """Compare two tensors bit for bit; None where they are equal."""
    if found is None and expected is None:
        return None
    if found is None or expected is None or found.shape != expected.shape or found.dtype != expected.dtype:
        return Difference(name, 1 if found is None or expected is None else found.numel(), ())
    apart = found != expected
    if not bool(apart.any()):
        return None
    places = [
        Place(layer=name, index=tuple(index), found=float(found[tuple(index)]), expected=float(expected[tuple(index)]))
        for index in torch.nonzero(apart)[:most].tolist()
    ]
    return Difference(name, int(apart.sum()), tuple(places))


def words(differences: Sequence[Difference], most: int = 5) -> str:
    """Name differences: the tensors, and how many of their numbers differ."""
    named = [f"{one.name} ({one.numbers:,})" if one.places else one.name for one in differences[:most]]
    return ", ".join(named) + (f" and {len(differences) - most} more" if len(differences) > most else "")


def first_places(differences: Sequence[Difference], most: int = 20) -> tuple[Place, ...]:
    """The first numbers that differ, of all tensors."""
    return tuple(place for one in differences for place in one.places)[:most]
