"""Splits that keep the classes in proportion and never tear a group apart."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray

from edgerift.errors import DataError
from edgerift.images._set import ImageSet
from edgerift.settings import require_seed


def split(image_set: ImageSet, fraction: float, *, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Hold out `fraction` of the images, in each class alike; return the rest and the held-out images.

    In all, `N * fraction` images are asked for, rounded half up. A class of `n` images gives `n * fraction`,
    rounded down; what is missing comes, one image each, from the classes that lost most by rounding (the
    lower class first). `fraction` counts as the decimal it is written as. Which images are taken is drawn
    from `seed`.

    Where the set has groups, a group counts for the class most of its images have (the lower one of two), and
    goes whole to one side: the groups of a class are drawn in random order, and each is held out if that
    brings the class nearer to its number. Both sides keep the order of the images.

    Raises `DataError` for a fraction outside `(0, 1)` or where a side stays empty, `RecipeError` for a seed that is
    negative or too large.
    """
    check_fraction(fraction)
    require_seed(seed)
    labels = image_set.labels.cpu().numpy()
    if image_set.groups is None:
        unit, owner, weight = np.arange(len(labels)), labels, np.ones(len(labels), dtype=np.int64)
    else:
        unit, owner, weight = _group_units(image_set.groups.cpu().numpy(), labels, len(image_set.classes))
    held_units = _draw(owner, weight, len(image_set.classes), Fraction(repr(float(fraction))), seed)
    held = torch.from_numpy(held_units[unit])
    if bool(held.all()) or not bool(held.any()):
        kind = "images" if image_set.groups is None else "groups"
        raise DataError(
            f"holding out {fraction} of '{image_set.name}' leaves one side empty; "
            f"give another fraction or more {kind} (it has {len(weight)})"
        )
    return image_set.select(~held), image_set.select(held)


def check_fraction(fraction: float) -> None:
    """Raise `DataError` unless `fraction` lies strictly between 0 and 1."""
    if not 0 < fraction < 1:
        raise DataError(f"split fraction is {fraction}; it must be above 0 and below 1")


def _group_units(
    groups: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int64]]:
    """Return the group each image is in (0, 1, ...), and the majority class and the size of each group."""
    names, unit = np.unique(groups, return_inverse=True)
    pairs, counts = np.unique(unit * classes + labels, return_counts=True)
    best = np.lexsort((pairs, -counts, pairs // classes))
    _, first = np.unique(pairs[best] // classes, return_index=True)
    return unit, pairs[best][first] % classes, np.bincount(unit, minlength=len(names))


def _draw(
    owner: NDArray[np.integer], weight: NDArray[np.int64], classes: int, fraction: Fraction, seed: int
) -> NDArray[np.bool_]:
    """Choose the units to hold out; `owner` is the class of each and `weight` its number of images."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [int(size) for size in np.bincount(owner, weights=weight, minlength=classes)]
    held = np.zeros(len(owner), dtype=np.bool_)
    for label, wanted in enumerate(_allocate(sizes, fraction)):
        units = np.flatnonzero(owner == label)
        count = 0
        for unit in units[torch.randperm(len(units), generator=generator).numpy()]:
            if abs(count + weight[unit] - wanted) < abs(count - wanted):
                held[unit] = True
                count += weight[unit]
    return held


def _allocate(sizes: list[int], fraction: Fraction) -> list[int]:
    """Share out the held-out images over the classes by largest remainder."""
    shares = [size * fraction for size in sizes]
    floors = [int(share) for share in shares]
    missing = int(sum(sizes) * fraction + Fraction(1, 2)) - sum(floors)
    by_loss = sorted(range(len(sizes)), key=lambda label: (floors[label] - shares[label], label))
    for label in by_loss[: max(missing, 0)]:
        floors[label] += 1
    return floors
