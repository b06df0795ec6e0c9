"""Which layer of an original each layer of a build was made of: by name, or by shape and content."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from edgerift.adapt import FoldedLayer
from edgerift.deploy import StoredLayer

#: The largest rounding error of an honest code, in steps: a half, and what float32 and another order of folding move.
HALF: Final = 0.5 + 1e-3


@dataclass(frozen=True)
class Matched:
    """A layer of a build beside that of the original, whose weight has the shape of the build's."""

    stored: StoredLayer
    original: FoldedLayer

    @functools.cached_property
    def weight(self) -> Tensor:
        """The original's weight in the build's shape, float64."""
        return self.original.weight.reshape(self.stored.codes.shape)

    @functools.cached_property
    def distance(self) -> float:
        """How far the build's weight is from the original's, over the length of the original's."""
        return float((self.stored.real - self.weight).norm() / self.weight.norm().clamp_min(1e-30))

    @functools.cached_property
    def scale(self) -> Tensor:
        """The scales; one alone where all channels have the same one. Only for layers of integers."""
        scale = self.stored.scale
        assert scale is not None
        first = scale.flatten()[:1]
        return first if bool((scale == first).all()) else scale

    @functools.cached_property
    def levels(self) -> Tensor:
        """The original's weight in steps of the build's grid, float64; only for layers of integers."""
        assert self.stored.scale is not None
        return self.weight / self.stored.scale.clamp_min(1e-300)

    @functools.cached_property
    def residual(self) -> Tensor:
        """By how many steps each code is below the original's weight; only for layers of integers."""
        assert self.stored.zero_point is not None
        return self.levels - (self.stored.codes - self.stored.zero_point)

    @functools.cached_property
    def nearest(self) -> Tensor:
        """The codes that are nearest to the original's weight, int64."""
        assert self.stored.zero_point is not None
        whole = self.levels.round() + self.stored.zero_point
        return whole.clamp(self.stored.low, self.stored.high).long()

    @functools.cached_property
    def is_clipped(self) -> Tensor:
        """Which weights lie beyond the end of the grid that their code is at."""
        low = (self.stored.codes <= self.stored.low) & (self.residual < -HALF)
        return low | ((self.stored.codes >= self._top) & (self.residual > HALF))

    @property
    def _top(self) -> int:
        return self.stored.high

    @functools.cached_property
    def is_off(self) -> Tensor:
        """Which codes are not the nearest, those that are clipped aside."""
        return (self.residual.abs() > HALF) & ~self.is_clipped


@dataclass(frozen=True)
class Matching:
    """All layers of a build, those with a counterpart in the original, and what is left over on both sides."""

    layers: tuple[Matched, ...]
    unknown: tuple[StoredLayer, ...]
    missing: tuple[FoldedLayer, ...]

    @property
    def integers(self) -> tuple[Matched, ...]:
        """The layers that are stored in integers."""
        return tuple(layer for layer in self.layers if layer.stored.scale is not None)

    @property
    def weights(self) -> int:
        """The number of weights that are stored in integers."""
        return sum(layer.stored.codes.numel() for layer in self.integers)


def match(stored: Sequence[StoredLayer], original: Sequence[FoldedLayer]) -> Matching:
    """Find for each layer of a build the layer of the original that it was made of.

    By name where all names are the original's, else the assignment among layers of one shape in which the weights are
    closest. Layers of an original that are constant, as the form of a pooling, need no counterpart.
    """
    by_name = {layer.name: layer for layer in original}
    if all(layer.name in by_name and _shape(layer.codes) == _shape(by_name[layer.name].weight) for layer in stored):
        pairs = [(layer, by_name[layer.name]) for layer in stored]
    else:
        pairs = list(_by_content(stored, original))
    found = {id(layer) for layer, _ in pairs}
    used = {id(layer) for _, layer in pairs}
    unknown = tuple(layer for layer in stored if id(layer) not in found and not _is_constant(layer.real))
    missing = tuple(layer for layer in original if id(layer) not in used and not _is_constant(layer.weight))
    order = {id(layer): place for place, layer in enumerate(stored)}
    layers = sorted((Matched(*pair) for pair in pairs), key=lambda layer: order[id(layer.stored)])
    return Matching(tuple(layers), unknown, missing)


def _by_content(
    stored: Sequence[StoredLayer], original: Sequence[FoldedLayer]
) -> Iterable[tuple[StoredLayer, FoldedLayer]]:
    from scipy.optimize import linear_sum_assignment

    for shape in dict.fromkeys(_shape(layer.codes) for layer in stored):
        ours = [layer for layer in stored if _shape(layer.codes) == shape]
        theirs = [layer for layer in original if _shape(layer.weight) == shape]
        if not theirs:
            continue
        first = torch.stack([_unit(layer.real) for layer in ours])
        second = torch.stack([_unit(layer.weight) for layer in theirs])
        rows, columns = linear_sum_assignment(-(first @ second.T).numpy())
        yield from ((ours[row], theirs[column]) for row, column in zip(rows, columns, strict=True))


def _unit(weight: Tensor) -> Tensor:
    flat = weight.double().flatten()
    unit: Tensor = flat / flat.norm().clamp_min(1e-30)
    return unit


def _is_constant(weight: Tensor) -> bool:
    return bool((weight == weight.flatten()[0]).all())


def _shape(weight: Tensor) -> tuple[int, ...]:
    """The extents of a weight without a kernel of one pixel: a linear layer may be written as a convolution."""
    extents = tuple(weight.shape)
    while len(extents) > 2 and extents[-1] == 1:
        extents = extents[:-1]
    return extents
