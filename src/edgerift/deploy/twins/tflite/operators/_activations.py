"""Activations that stand alone; on 8-bit integers they are tables."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._straight_through import clipped, passing_range
from edgerift.deploy.twins.tflite._activations import RELU, RELU_1, RELU_6, activated, between, bounded, bounds_of
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._fixed_point import fixed_multiplier, half_away, multiplied_by
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError
from edgerift.deploy.twins.tflite._hard_swish import hard_swish_levels
from edgerift.deploy.twins.tflite._tables import Function, all_levels, looked_up
from edgerift.deploy.twins.tflite._through import through

_ALONE: Final = {"RELU": RELU, "RELU_N1_TO_1": RELU_1, "RELU6": RELU_6}


def _relu(builder: Builder, operator: TfliteOperator, number: int) -> Real:
    low, high = bounds_of(number)
    real = functools.partial(between, low=low, high=high)
    if not builder.is_quantized(operator):
        return builder.call(between, builder.value(operator), low, high)
    grid, result = builder.grid(operator), builder.result_grid(operator)
    factor = fixed_multiplier(float(np.float32(grid.scale) / np.float32(result.scale)))
    rounded = multiplied_by(all_levels(grid), factor)
    bounds = bounded(builder, result, low, high)
    return looked_up(builder, builder.value(operator), (grid, result), rounded, real, bounds)


for _name, _number in _ALONE.items():
    OPERATORS.register(_name, functools.partial(_relu, number=_number))


@OPERATORS.named("CLAMP")
def _clamp(builder: Builder, operator: TfliteOperator) -> Real:
    """Clip to any bounds; no operator of a `.tflite`, but XNNPACK has it."""
    low, high = operator.options["Bounds"]
    if not builder.is_quantized(operator):
        return activated(builder, operator, builder.value(operator))
    return _rounded_in_float(builder, operator, functools.partial(between, low=low, high=high))


@OPERATORS.named("LOGISTIC")
def _logistic(builder: Builder, operator: TfliteOperator) -> Real:
    return _curved(builder, operator, torch.sigmoid)


@OPERATORS.named("TANH")
def _tanh(builder: Builder, operator: TfliteOperator) -> Real:
    return _curved(builder, operator, torch.tanh)


def _curved(builder: Builder, operator: TfliteOperator, real: Function) -> Real:
    """Append a function that the runtime computes in float and rounds, for each of the 256 levels."""
    if not builder.is_quantized(operator):
        return builder.call(real, builder.value(operator))
    return _rounded_in_float(builder, operator, real)


def _rounded_in_float(builder: Builder, operator: TfliteOperator, real: Function) -> Real:
    grid, result = builder.grid(operator), builder.result_grid(operator)
    given = all_levels(grid).float() * torch.tensor(grid.scale)
    made = real(given.double()).float()
    inverse = torch.tensor(1.0) / torch.tensor(result.scale)
    if builder.kernels == "default":
        rounded = (made * inverse + result.zero_point).round() - result.zero_point
    else:
        rounded = half_away(made * inverse)
    bounds = clipped(result, None, None), passing_range(result, None, None)
    return looked_up(builder, builder.value(operator), (grid, result), rounded, real, bounds)


@OPERATORS.named("HARD_SWISH")
def _hard_swish(builder: Builder, operator: TfliteOperator) -> Real:
    if not builder.is_quantized(operator):
        return builder.call(F.hardswish, builder.value(operator))
    grid, result = builder.grid(operator), builder.result_grid(operator)
    rounded = hard_swish_levels(all_levels(grid), grid.scale, result.scale)
    bounds = clipped(result, None, None), passing_range(result, None, None)
    return looked_up(builder, builder.value(operator), (grid, result), rounded, F.hardswish, bounds)


@OPERATORS.named("LEAKY_RELU")
def _leaky_relu(builder: Builder, operator: TfliteOperator) -> Real:
    slope = float(operator.options.get("Alpha", 0.0))
    real = functools.partial(F.leaky_relu, negative_slope=slope)
    if not builder.is_quantized(operator):
        return builder.call(F.leaky_relu, builder.value(operator), slope)
    grid, result = builder.grid(operator), builder.result_grid(operator)
    rounded = _leaky_in_8_bits(grid, result, slope) if builder.kernels == "default" else _leaky(grid, result, slope)
    bounds = clipped(result, None, None), passing_range(result, None, None)
    return looked_up(builder, builder.value(operator), (grid, result), rounded, real, bounds)


def _leaky_in_8_bits(grid: Grid, result: Grid, slope: float) -> Tensor:
    """XNNPACK: factors of 8 bits behind the point, half up."""
    levels = all_levels(grid)
    positive = np.float32(grid.scale) / np.float32(result.scale)
    factors = [round(float(np.float32(256) * factor)) for factor in (positive, positive * np.float32(slope))]
    return (levels * torch.where(levels > 0, factors[0], factors[1]) + 128) >> 8


def _leaky(grid: Grid, result: Grid, slope: float) -> Tensor:
    levels = all_levels(grid)
    scale, other = np.float32(grid.scale), np.float32(result.scale)
    positive = multiplied_by(levels, fixed_multiplier(float(scale / other)))
    negative = multiplied_by(levels, fixed_multiplier(float(abs(scale * np.float32(slope) / other))))
    return torch.where(levels >= 0, positive, negative if slope >= 0 else -negative)


@OPERATORS.named("PRELU")
def _prelu(builder: Builder, operator: TfliteOperator) -> Real:
    if tuple(torch.broadcast_shapes(builder.tensor(operator).shape, builder.tensor(operator, 1).shape)) != tuple(
        builder.tensor(operator).shape
    ):
        raise UntranslatedError(f"{operator} has slopes {list(builder.tensor(operator, 1).shape)}")
    value, slopes = builder.value(operator), builder.value(operator, 1)
    if not builder.is_quantized(operator):
        return builder.call(sloped, value, slopes)
    grid, other, result = builder.grid(operator), builder.grid(operator, 1), builder.result_grid(operator)
    scale, last = np.float32(grid.scale), np.float32(result.scale)
    ratios = float(scale / last), float(scale * np.float32(other.scale) / last)
    bounds = clipped(result, None, None), passing_range(result, None, None)
    return builder.call(sloped_levels, value, slopes, ratios, *bounds)


def sloped(value: Tensor, slopes: Tensor) -> Tensor:
    """Multiply what is below zero by slopes that broadcast."""
    return torch.where(value < 0, value * slopes, value)


def sloped_levels(
    value: Tensor, slopes: Tensor, ratios: tuple[float, float], clip: tuple[int, int], passing: tuple[float, float]
) -> Tensor:
    """The same on levels, with fixed-point factors."""
    whole = value.detach().long()
    positive = multiplied_by(whole, fixed_multiplier(ratios[0]))
    negative = multiplied_by(whole * slopes.long(), fixed_multiplier(ratios[1]))
    real = torch.where(value < 0, value * slopes * ratios[1], value * ratios[0])
    return through(real, torch.where(whole >= 0, positive, negative), clip, passing)


_FLOAT: Final[dict[str, Callable[..., Tensor]]] = {
    "ELU": F.elu,
    "ABS": torch.abs,
    "EXP": torch.exp,
    "LOG": torch.log,
    "SQRT": torch.sqrt,
    "RSQRT": torch.rsqrt,
    "SQUARE": torch.square,
    "NEG": torch.neg,
    "FLOOR": torch.floor,
    "SIN": torch.sin,
    "COS": torch.cos,
}


def _float_alone(builder: Builder, operator: TfliteOperator, function: Callable[..., Tensor]) -> Real:
    if builder.is_quantized(operator):
        raise UntranslatedError(f"{operator} is translated in float only")
    return builder.call(function, builder.value(operator))


for _name, _function in _FLOAT.items():
    OPERATORS.register(_name, functools.partial(_float_alone, function=_function))


@OPERATORS.named("GELU")
def _gelu(builder: Builder, operator: TfliteOperator) -> Real:
    approximate = "tanh" if operator.options.get("Approximate") else "none"
    return _float_alone(builder, operator, functools.partial(F.gelu, approximate=approximate))
