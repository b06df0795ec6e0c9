"""The statistics of rounding errors: which codes are not the nearest, and how the errors of the nearest are spread."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor

from edgerift.verify._matching import Matched

#: Errors above this many steps lie at the edge of a code's interval; of uniform ones 2 % do.
EDGE: Final = 0.49
UNIFORM_EDGE: Final = 0.02


class Spread(NamedTuple):
    """How rounding errors are spread: their number, the share at the edge, and the distance from the uniform.

    `distance` is the largest difference of the two distribution functions (Kolmogorov-Smirnov), in [0, 1], and `p` its
    p-value; 1 without errors.
    """

    errors: int
    edge: float
    distance: float
    p: float


def tested_errors(layer: Matched) -> Tensor:
    """The rounding errors of a layer that say something, float64 in `[-0.5,0.5]`.

    They are those of the nearest codes, whichever codes the build has. Left out are weights that are zero, as pruned
    ones are, the largest of each scale, which lies on a level by construction, and those beyond the grid's ends.
    """
    weight, levels = layer.weight, layer.levels
    kept = (weight != 0) & ~layer.is_clipped & ~_largest(layer)
    return (levels - levels.round())[kept]


def _largest(layer: Matched) -> Tensor:
    """Which weights reach the largest magnitude of those that share their scale."""
    scale = layer.scale
    magnitude = layer.weight.abs()
    if scale.numel() == 1:
        return magnitude >= magnitude.max()
    axes = [axis for axis in range(magnitude.dim()) if scale.shape[axis] == 1]
    return magnitude >= magnitude.amax(axes, keepdim=True) if axes else torch.zeros_like(magnitude, dtype=torch.bool)


def residual_spread(errors: Tensor) -> Spread:
    """Compare rounding errors with the uniform distribution on `[-0.5,0.5]`.

    >>> found = residual_spread(torch.linspace(-0.5, 0.5, 1001, dtype=torch.float64))
    >>> found.errors, round(found.edge, 2), round(found.distance, 3), round(found.p, 2)
    (1001, 0.02, 0.001, 1.0)
    """
    count = errors.numel()
    if not count:
        return Spread(0, 0.0, 0.0, 1.0)
    ordered = (errors.double().flatten() + 0.5).sort().values
    steps = torch.arange(1, count + 1, dtype=torch.float64) / count
    distance = float(torch.maximum(steps - ordered, ordered - (steps - 1 / count)).max())
    return Spread(count, float((errors.abs() > EDGE).double().mean()), distance, _p(distance, count))


def _p(distance: float, count: int) -> float:
    from scipy.stats import kstwo

    return float(kstwo.sf(distance, count))


def surely_apart(distance: float, count: int, alpha: float) -> float:
    """The least distance from the uniform that a sample leaves possible at a level: the inequality of Massart.

    >>> round(surely_apart(0.1, 10_000, 0.05), 3), surely_apart(0.1, 10, 0.05)
    (0.086, 0.0)
    """
    return max(0.0, distance - math.sqrt(math.log(2 / alpha) / (2 * count))) if count else 0.0
