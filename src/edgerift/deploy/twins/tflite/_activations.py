"""Activations that are fused into other operators."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._straight_through import clipped, passing_range
from edgerift.deploy.twins.tflite._builder import Builder, Real
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError

Clip = tuple[int, int]
Passing = tuple[float, float]

#: The real bounds of the activations by their number in the schema.
_BOUNDS: Final[dict[int, tuple[float | None, float | None]]] = {
    0: (None, None),
    1: (0.0, None),
    2: (-1.0, 1.0),
    3: (0.0, 6.0),
}
_NAMES: Final = {4: "tanh", 5: "sign bit"}
RELU, RELU_1, RELU_6 = 1, 2, 3


def bounds_of(number: int) -> tuple[float | None, float | None]:
    """The real bounds of an activation."""
    return _BOUNDS[number]


def _bounds(operator: TfliteOperator) -> tuple[float | None, float | None]:
    """Read the bounds, which a file of another kind says as two numbers."""
    if "Bounds" in operator.options:
        low, high = operator.options["Bounds"]
        return low, high
    number = int(operator.options.get("FusedActivationFunction", 0))
    if number not in _BOUNDS:
        raise UntranslatedError(f"{operator} is fused with the activation {_NAMES.get(number, number)}")
    return _BOUNDS[number]


def rounding(builder: Builder, operator: TfliteOperator) -> tuple[Clip, Passing]:
    """The levels that a result is clipped to by its grid and its activation, and where its gradient passes."""
    return bounded(builder, builder.result_grid(operator), *_bounds(operator))


def bounded(builder: Builder, grid: Grid, low: float | None, high: float | None) -> tuple[Clip, Passing]:
    """The levels between two real bounds on a grid, and where the gradient passes."""
    ends = [None if bound is None else _level(builder, bound, grid) for bound in (low, high)]
    return clipped(grid, *ends), passing_range(grid, *ends)


def _level(builder: Builder, bound: float, grid: Grid) -> int:
    level = np.float32(bound) / np.float32(grid.scale)
    if builder.kernels == "default":
        return int(np.rint(level))
    return int(np.sign(level) * np.floor(abs(level) + np.float32(0.5)))


def activated(builder: Builder, operator: TfliteOperator, value: Real) -> Real:
    """Append the activation of a float operator, if it has one."""
    low, high = _bounds(operator)
    return value if low is None and high is None else builder.call(between, value, low, high)


def between(value: Tensor, low: float | None, high: float | None) -> Tensor:
    """Clip to bounds, of which one may be missing."""
    return torch.clamp(value, low, high)
