"""From real numbers to integers, back, and from one grid to another."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.twins._straight_through import QuantizeLevels, clipped, passing_range
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._fixed_point import fixed_multiplier, half_away, multiplied_by, outside_blocks
from edgerift.deploy.twins.tflite._graph import ENDS, TfliteOperator, UntranslatedError
from edgerift.deploy.twins.tflite._tables import all_levels, looked_up
from edgerift.deploy.twins.tflite._through import Clip, Passing, through

_BLOCK: Final = 8


@OPERATORS.named("QUANTIZE")
def _quantize(builder: Builder, operator: TfliteOperator) -> Real:
    given, result = builder.tensor(operator), builder.result_grid(operator)
    bounds = clipped(result, None, None), passing_range(result, None, None)
    value = builder.value(operator)
    if given.dtype in ENDS:
        return _requantized(builder, operator, bounds)
    if given.dtype != "float32":
        raise UntranslatedError(f"{operator} quantizes {given.dtype}")
    if builder.kernels == "default":
        return builder.call(quantize_even, value, result)
    size = _BLOCK if builder.kernels == "builtin" else math.prod(given.shape) + 1
    rest = outside_blocks(math.prod(given.shape), size).reshape(given.shape)
    return builder.call(quantize_away, value, rest, result.scale, *bounds)


def quantize_even(value: Tensor, grid: Any) -> Tensor:
    """XNNPACK: multiply by the inverse of the scale, half to even."""
    levels: Tensor = QuantizeLevels(grid)(value)
    return levels


def quantize_away(value: Tensor, rest: Tensor, scale: float, clip: Clip, passing: Passing) -> Tensor:
    """TensorFlow Lite's own kernels: half away from zero; in blocks of 8 numbers of an image by the scale's inverse."""
    step = torch.tensor(scale, device=value.device)
    real = torch.where(rest, value / step, value * (1.0 / step))
    return through(real, half_away(real.detach()), clip, passing)


def _requantized(builder: Builder, operator: TfliteOperator, bounds: tuple[Clip, Passing]) -> Real:
    grids = builder.grid(operator), builder.result_grid(operator)
    levels, value = all_levels(grids[0]), builder.value(operator)
    if builder.kernels == "default":
        factor = round(float(np.float32(256) * (np.float32(grids[0].scale) / np.float32(grids[1].scale))))
        return looked_up(builder, value, grids, (levels * factor + 128) >> 8, torch.clone, bounds)
    fixed = fixed_multiplier(grids[0].scale / grids[1].scale)
    away = looked_up(builder, value, grids, multiplied_by(levels, fixed), torch.clone, bounds)
    if builder.kernels == "reference":
        return away
    shape = builder.tensor(operator).shape
    rest = outside_blocks(math.prod(shape), 2 * _BLOCK).reshape(shape)
    up = looked_up(builder, value, grids, multiplied_by(levels, fixed, away=False), torch.clone, bounds)
    return up if not bool(rest.any()) else builder.call(torch.where, rest, away, up)


@OPERATORS.named("CAST")
def _cast(builder: Builder, operator: TfliteOperator) -> Real:
    """Take integers as they are for real numbers, whatever their scale."""
    given, result, value = builder.tensor(operator), builder.result(operator), builder.value(operator)
    if isinstance(value, Tensor):
        return value.to(torch.float32 if result.dtype == "float32" else torch.int64)
    if result.dtype != "float32" or given.dtype not in (*ENDS, "float32"):
        raise UntranslatedError(f"{operator} turns {given.dtype} into {result.dtype}")
    return value if given.grid is None else builder.call(torch.add, value, given.grid.zero_point)


@OPERATORS.named("DEQUANTIZE")
def _dequantize(builder: Builder, operator: TfliteOperator) -> Real:
    given = builder.tensor(operator)
    if builder.result(operator).dtype != "float32":
        raise UntranslatedError(f"{operator} makes {builder.result(operator).dtype}")
    if given.data is not None:
        return _dequantized_constant(operator, given.data, given.scales)
    grid, value = builder.grid(operator), builder.value(operator)
    if builder.kernels != "builtin":
        return builder.call(torch.mul, value, grid.scale)
    rest = outside_blocks(math.prod(given.shape), _BLOCK).reshape(given.shape)
    return builder.call(dequantize_in_two, value, rest, grid.scale, grid.zero_point)


def dequantize_in_two(levels: Tensor, rest: Tensor, scale: float, zero: int) -> Tensor:
    """The optimised kernel: a product and a sum in float32 in blocks of 8 numbers of an image, else one product."""
    shift = torch.tensor(-zero * scale, device=levels.device)
    return torch.where(rest, levels * scale, (levels + zero) * scale + shift)


def _dequantized_constant(operator: TfliteOperator, data: Tensor, scales: Any) -> Tensor:
    if data.is_floating_point():
        return data.float()
    if scales is None:
        raise UntranslatedError(f"{operator} reads integers without a scale")
    shape = [1] * data.dim()
    if len(scales.scales) > 1:
        shape[scales.axis] = -1
    factors, zeros = (
        torch.tensor(part, dtype=torch.float32).reshape(shape) for part in (scales.scales, scales.zero_points)
    )
    return (data.float() - zeros) * factors
