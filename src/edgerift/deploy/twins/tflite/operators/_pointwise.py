"""Sums, differences and products of two tensors."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._straight_through import add_fixed_point
from edgerift.deploy.twins._twin_xnnpack import add_multipliers
from edgerift.deploy.twins.tflite._activations import activated, rounding
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._fixed_point import fixed_multiplier, fixed_multipliers, multiplied_by
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError
from edgerift.deploy.twins.tflite._rounding import Rule, even_in_float32, round_sums, twice
from edgerift.deploy.twins.tflite._through import Clip, Passing, through

#: The bits by which TensorFlow Lite's own addition shifts its inputs to the left.
_SHIFT: Final = 20


class FixedSum(NamedTuple):
    """The fixed-point numbers of TensorFlow Lite's own addition: for both inputs, and for their sum."""

    first: tuple[int, int]
    second: tuple[int, int]
    result: tuple[int, int]
    sign: int


@OPERATORS.named("ADD")
def _add(builder: Builder, operator: TfliteOperator) -> Real:
    return _summed(builder, operator, 1)


@OPERATORS.named("SUB")
def _subtract(builder: Builder, operator: TfliteOperator) -> Real:
    return _summed(builder, operator, -1)


def _summed(builder: Builder, operator: TfliteOperator, sign: int) -> Real:
    first, second = _operands(builder, operator)
    if not builder.is_quantized(operator):
        return activated(builder, operator, builder.call(torch.add if sign > 0 else torch.sub, first, second))
    grids = builder.grid(operator), builder.grid(operator, 1), builder.result_grid(operator)
    bounds = rounding(builder, operator)
    if builder.kernels == "default":
        (one, two), shift = add_multipliers(*grids)
        return builder.call(add_fixed_point, first, second, (one, sign * two), shift, *bounds)
    ratios = grids[0].scale / grids[2].scale, sign * grids[1].scale / grids[2].scale
    return builder.call(add_twice, first, second, fixed_sum(*grids, sign), ratios, *bounds)


def fixed_sum(first: Grid, second: Grid, result: Grid, sign: int) -> FixedSum:
    """Derive the numbers: inputs are brought to twice the larger scale, and their sum to the result's."""
    twice = 2 * float(np.float32(max(first.scale, second.scale)))
    last = twice / ((1 << _SHIFT) * result.scale)
    one, two = fixed_multiplier(first.scale / twice), fixed_multiplier(second.scale / twice)
    return FixedSum(one, two, fixed_multiplier(last), sign)


def add_twice(
    first: Tensor, second: Tensor, plan: Any, ratios: tuple[float, float], clip: Clip, passing: Passing
) -> Tensor:
    """Add levels as TensorFlow Lite's own kernels do, each factor in fixed point."""
    one, two, last, sign = plan
    left = multiplied_by(first.detach().long() << _SHIFT, one)
    right = multiplied_by(second.detach().long() << _SHIFT, two)
    rounded = multiplied_by(left + sign * right, last)
    return through(first * ratios[0] + second * ratios[1], rounded, clip, passing)


@OPERATORS.named("MUL")
def _multiply(builder: Builder, operator: TfliteOperator) -> Real:
    first, second = _operands(builder, operator)
    product = builder.call(torch.mul, first, second)
    if not builder.is_quantized(operator):
        return activated(builder, operator, product)
    one, two, result = (
        np.float32(grid.scale)
        for grid in (builder.grid(operator), builder.grid(operator, 1), builder.result_grid(operator))
    )
    factor = torch.tensor(float(one * two / result))
    rule: Rule = even_in_float32 if builder.kernels == "default" else twice
    numbers = [factor] if builder.kernels == "default" else fixed_multipliers(factor.double())
    return builder.call(round_sums, product, rule, numbers, factor, *rounding(builder, operator))


def _operands(builder: Builder, operator: TfliteOperator) -> tuple[Real, Real]:
    shapes = builder.tensor(operator).shape, builder.tensor(operator, 1).shape
    if tuple(torch.broadcast_shapes(*shapes)) != builder.result(operator).shape:
        raise UntranslatedError(f"{operator} makes {list(builder.result(operator).shape)} of {shapes}")
    if builder.tensor(operator, 1).dtype != builder.tensor(operator).dtype:
        raise UntranslatedError(f"{operator} reads two number types")
    return builder.value(operator), builder.value(operator, 1)
