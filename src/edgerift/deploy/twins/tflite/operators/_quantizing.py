"""From real numbers to integers, back, and from one grid to another."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.twins._straight_through import QuantizeLevels, clipped, passing_range
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._fixed_point import fixed_multiplier, half_away, multiplied_by
from edgerift.deploy.twins.tflite._graph import ENDS, TfliteOperator, UntranslatedError
from edgerift.deploy.twins.tflite._tables import all_levels, looked_up
from edgerift.deploy.twins.tflite._through import Clip, Passing, through


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
        return _real(builder.call(quantize_even, value, result))
    return _real(builder.call(quantize_away, value, result.scale, builder.kernels == "builtin", *bounds))


def quantize_even(value: Tensor, grid: Any) -> Tensor:
    """XNNPACK: multiply by the inverse of the scale, half to even."""
    levels: Tensor = QuantizeLevels(grid)(value)
    return levels


def quantize_away(value: Tensor, scale: float, inverts: bool, clip: Clip, passing: Passing) -> Tensor:
    """TensorFlow Lite's own kernels: half away from zero; the optimised ones multiply by the scale's inverse."""
    real = value * (1.0 / scale) if inverts else value / torch.tensor(scale, device=value.device)
    return through(real, half_away(real.detach()), clip, passing)


def _requantized(builder: Builder, operator: TfliteOperator, bounds: tuple[Clip, Passing]) -> Real:
    grid, result = builder.grid(operator), builder.result_grid(operator)
    levels = all_levels(grid)
    if builder.kernels == "default":
        factor = round(float(np.float32(256) * (np.float32(grid.scale) / np.float32(result.scale))))
        rounded = (levels * factor + 128) >> 8
    else:
        rounded = multiplied_by(levels, fixed_multiplier(grid.scale / result.scale), "away")
    return _real(looked_up(builder, builder.value(operator), (grid, result), rounded, torch.clone, bounds))


@OPERATORS.named("DEQUANTIZE")
def _dequantize(builder: Builder, operator: TfliteOperator) -> Real:
    given = builder.tensor(operator)
    if builder.result(operator).dtype != "float32":
        raise UntranslatedError(f"{operator} makes {builder.result(operator).dtype}")
    if given.data is not None:
        return _dequantized_constant(operator, given.data, given.scales)
    return _real(builder.call(torch.mul, builder.value(operator), builder.grid(operator).scale))


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


def _real(value: Any) -> Real:
    result: Real = value
    return result
