"""Convolutions and matrix products."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins._integer_convolution import Geometry, convolve_levels
from edgerift.deploy.twins._straight_through import requantize
from edgerift.deploy.twins.tflite._activations import activated, rounding
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._graph import ENDS, TfliteOperator, UntranslatedError
from edgerift.deploy.twins.tflite._rounding import Factors, Layer, Requantization, requantization, round_sums
from edgerift.deploy.twins.tflite._windows import Window, channels_last, channels_second, padded, window_of

#: Whole numbers up to this are exact in float32.
_EXACT: Final = 2**24


@OPERATORS.named("CONV_2D")
def _convolve(builder: Builder, operator: TfliteOperator) -> Real:
    stored = builder.constant(operator, 1)
    if stored.dim() != 4 or len(builder.tensor(operator).shape) != 4:
        raise UntranslatedError(f"{operator} convolves other than [N,H,W,C] with other than [O,H,W,I]")
    weight = _weight(builder, operator, 0).permute(0, 3, 1, 2)
    channels = builder.tensor(operator).shape[3]
    if not weight.shape[1] or channels % weight.shape[1]:
        raise UntranslatedError(f"{operator} has weights {list(stored.shape)} for {channels} channels")
    groups = channels // weight.shape[1]
    return _convolved(builder, operator, weight, groups, "convolution" if groups == 1 else "grouped")


@OPERATORS.named("DEPTHWISE_CONV_2D")
def _convolve_depthwise(builder: Builder, operator: TfliteOperator) -> Real:
    stored = builder.constant(operator, 1)
    channels = builder.tensor(operator).shape[-1]
    if stored.dim() != 4 or stored.shape[0] != 1 or stored.shape[3] % channels:
        raise UntranslatedError(f"{operator} has weights {list(stored.shape)} for {channels} channels")
    return _convolved(builder, operator, _weight(builder, operator, 3).permute(3, 0, 1, 2), channels, "depthwise")


def _weight(builder: Builder, operator: TfliteOperator, axis: int) -> Tensor:
    """Fetch the weight: float, or levels counted from its zero points, one for each index of an axis or for all."""
    described, stored = builder.tensor(operator, 1), builder.constant(operator, 1)
    integer = builder.tensor(operator).dtype in ENDS
    if not integer and described.dtype == "int8":
        raise UntranslatedError(f"{operator} has int8 weights and float activations (dynamic range quantization)")
    if not integer:
        return stored.float()
    if described.scales is None or described.dtype not in ENDS:
        raise UntranslatedError(f"{operator} has weights of {described.dtype}; 8 bits with scales are translated")
    if len(described.scales.scales) > 1 and described.scales.axis != axis:
        raise UntranslatedError(f"{operator} has a scale for each index of axis {described.scales.axis}")
    if described.dtype == "int8" and any(described.scales.zero_points) and operator.name != "FULLY_CONNECTED":
        raise UntranslatedError(f"{operator} has int8 weights with a zero point, which the runtime does not look at")
    shape = [1] * stored.dim()
    shape[axis] = -1
    zeros = torch.tensor(described.scales.zero_points, dtype=torch.float32).reshape(shape)
    return stored.float() - zeros


def _convolved(builder: Builder, operator: TfliteOperator, weight: Tensor, groups: int, layer: Layer) -> Real:
    weight = weight.contiguous(memory_format=torch.channels_last)
    window = window_of(operator, weight.shape[2], weight.shape[3])
    value, padding = padded(builder, operator, channels_second(builder, builder.value(operator)), window, 0.0)
    geometry = Geometry(window.stride, padding, window.dilation, groups)
    _require_shape(builder, operator, window, len(weight))
    bias = _bias(builder, operator, len(weight))
    if not builder.is_quantized(operator):
        result = channels_last(builder, builder.call(convolve, value, weight, bias, geometry))
        return activated(builder, operator, result)
    rounded = _rounded(builder, operator, (value, weight, bias, geometry), layer)
    return channels_last(builder, rounded)


def _rounded(builder: Builder, operator: TfliteOperator, convolution: Any, layer: Layer) -> Real:
    """Append a convolution of levels and the rounding of its sums."""
    value, weight, bias, geometry = convolution
    found = _requantization(builder, operator, layer, (1, -1, 1, 1), len(weight))
    bounds, wide = rounding(builder, operator), _is_wide(builder, operator, weight, bias)
    weight, bias = _widened(weight, bias, wide)
    if builder.kernels == "default" and not wide:
        slope = weight * found.factor.reshape(-1, 1, 1, 1)
        return builder.call(convolve_levels, value, weight, bias, found.factor, slope, geometry, *bounds)
    return builder.call(round_sums, builder.call(convolve_whole, value, weight, bias, geometry), *found, *bounds)


def _requantization(
    builder: Builder, operator: TfliteOperator, layer: Layer, shape: tuple[int, ...], channels: int
) -> Requantization:
    """Choose how sums are rounded; the scales of the weights broadcast against a result of `shape`."""
    given = builder.tensor(operator, 1).scales
    assert given is not None
    scales = torch.tensor(given.scales, dtype=torch.float32).expand(channels).reshape(shape)
    grid, result = builder.grid(operator), builder.result_grid(operator)
    unsigned = grid.minimum == 0
    single = unsigned or (layer == "dense" and len(given.scales) == 1)
    factors = Factors(grid.scale, scales.contiguous(), result.scale, single, unsigned)
    return requantization(builder.kernels, layer, factors)


def _require_shape(builder: Builder, operator: TfliteOperator, window: Window, channels: int) -> None:
    """Check that a file's own word on the result is what the runtime computes, before memory is taken for it."""
    made = (*window.result(builder.tensor(operator).shape[1:3]), channels)
    if builder.result(operator).shape[1:] != made:
        raise UntranslatedError(f"{operator} makes {list(made)}, and the file says {builder.result(operator).shape}")


def convolve(value: Tensor, weight: Tensor, bias: Tensor | None, geometry: tuple[Any, ...]) -> Tensor:
    """Convolve with a :class:`Geometry`."""
    return Geometry(*geometry).convolve(value, weight, bias)


def convolve_whole(value: Tensor, weight: Tensor, bias: Tensor | None, geometry: tuple[Any, ...]) -> Tensor:
    """Convolve whole numbers in the number type of the weight; a fast algorithm of a GPU may leave them by a little."""
    sums = convolve(value.to(weight.dtype), weight, bias, geometry)
    return sums + (sums.round() - sums).detach() if sums.is_cuda else sums


def _bias(builder: Builder, operator: TfliteOperator, channels: int) -> Tensor | None:
    if not operator.has(2):
        return None
    bias = builder.constant(operator, 2)
    if bias.numel() != channels:
        raise UntranslatedError(f"{operator} has {bias.numel()} biases for {channels} channels")
    return bias.flatten().to(torch.float64 if bias.dtype == torch.int32 else torch.float32)


def _is_wide(builder: Builder, operator: TfliteOperator, weight: Tensor, bias: Tensor | None) -> bool:
    """Return whether a sum may be larger than what float32 holds exactly."""
    grid = builder.grid(operator)
    largest = max(-grid.low, grid.high) * weight.abs().flatten(1).double().sum(1)
    return bool((largest + (0 if bias is None else bias.abs())).max() >= _EXACT)


def _widened(weight: Tensor, bias: Tensor | None, wide: bool) -> tuple[Tensor, Tensor | None]:
    kind = torch.float64 if wide else torch.float32
    return weight.to(kind), None if bias is None else bias.to(kind)


@OPERATORS.named("FULLY_CONNECTED")
def _connect(builder: Builder, operator: TfliteOperator) -> Real:
    if operator.options.get("WeightsFormat", 0):
        raise UntranslatedError(f"{operator} stores its weights shuffled")
    weight = _weight(builder, operator, 0)
    if weight.dim() != 2:
        raise UntranslatedError(f"{operator} has weights {list(weight.shape)}")
    value, bias = _rows(builder, operator, weight), _bias(builder, operator, len(weight))
    if not builder.is_quantized(operator):
        return activated(builder, operator, builder.call(F.linear, value, weight, bias))
    found = _requantization(builder, operator, "dense", (-1,), len(weight))
    bounds, wide = rounding(builder, operator), _is_wide(builder, operator, weight, bias)
    sums = builder.call(connect, value, *_widened(weight, bias, wide))
    if builder.kernels == "default" and not wide:
        return builder.call(requantize, sums, found.factor, *bounds)
    return builder.call(round_sums, sums, *found, *bounds)


def _rows(builder: Builder, operator: TfliteOperator, weight: Tensor) -> Real:
    """Append the view of each image as the rows that a matrix is multiplied with."""
    given, made = builder.tensor(operator).shape, builder.result(operator).shape
    same = bool(given and made) and given[0] == made[0] and made[-1] == len(weight)
    if not same or math.prod(made[1:-1]) * weight.shape[1] != math.prod(given[1:]):
        raise UntranslatedError(f"{operator} makes {list(made)} of {list(given)} with weights {list(weight.shape)}")
    return builder.call(as_rows, builder.value(operator), [*made[1:-1], weight.shape[1]])


def as_rows(value: Tensor, extents: list[int]) -> Tensor:
    """View what follows the batch by other extents."""
    return value.reshape(len(value), *extents)


def connect(value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply rows with a matrix, in the number type of the weight."""
    return F.linear(value.to(weight.dtype), weight, bias)
