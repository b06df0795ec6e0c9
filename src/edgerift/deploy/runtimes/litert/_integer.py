"""Integer operations of a program as operators of the file, with their activations and paddings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, fx

from edgerift.deploy.program._layers import is_global_average, sum_scales, whole_bias
from edgerift.deploy.program._operators import (
    ADAPTIVE_AVERAGE,
    ADD,
    MEAN,
    MULTIPLY,
    RELU,
    SUBTRACT,
    operator_name,
)
from edgerift.deploy.program._regions import Region, hardtanh_bounds
from edgerift.deploy.runtimes.litert._file import Options, Scales
from edgerift.deploy.runtimes.litert._windows import VALID, padded
from edgerift.deploy.runtimes.litert._writer import CHANNELS_LAST, Held, Writer
from edgerift.deploy.twins._integer_convolution import geometry_of
from edgerift.errors import BuildError

_CONVOLUTION: Final = "aten.conv2d.default"
_LINEAR: Final = "aten.linear.default"
_ARITHMETIC: Final = {ADD: ("ADD", "Add"), SUBTRACT: ("SUB", "Sub"), MULTIPLY: ("MUL", "Mul")}
#: The activations that an operator of the file may have, in its numbers: none, a ReLU, and a clamp to [0, 6].
_NONE, _RELU, _RELU6 = 0, 1, 3
_LARGEST_SUM: Final = 2.0**31


def is_integer(region: Region) -> bool:
    """Return whether the runtime's kernels compute a region in integers."""
    if region.name in _ARITHMETIC:
        return len(region.inputs) == 2
    if region.name in (ADAPTIVE_AVERAGE, MEAN):
        return is_global_average(region.operator)
    return region.name in _OPERATIONS


def append_integer(writer: Writer, region: Region, inputs: list[Held]) -> Held:
    """Append an integer operation, given the levels that it reads."""
    fused, low, high = _activation(region)
    made = _OPERATIONS[region.name](writer, region, inputs, fused)
    return _clamped(writer, region, made, low, high)


def _activation(region: Region) -> tuple[int, int | None, int | None]:
    """Say which activation the kernel computes, and between which levels the result has to be clamped after it."""
    low, high = region.clip()
    grid = region.grid
    low = None if low is None or low <= grid.low else low
    high = None if high is None or high >= grid.high else high
    if (low, high) == (None, None) or region.name in (ADAPTIVE_AVERAGE, MEAN):
        return _NONE, low, high
    if low == 0 and high is None:
        return _RELU, None, None
    if low in (0, None) and high is not None and _is_six(region, high):
        return _RELU6, None, None
    return _NONE, low, high


def _is_six(region: Region, high: int) -> bool:
    """Return whether a clamp is one to [0, 6] whose upper end the runtime rounds to the same level."""
    activation: Any = region.activation
    if operator_name(activation.target) == RELU or hardtanh_bounds(activation) != (0.0, 6.0):
        return False
    # It divides, and rounds halves away from zero.
    return int(np.floor(np.float32(6.0) / np.float32(region.grid.scale) + np.float32(0.5))) == high


def _clamped(writer: Writer, region: Region, held: Held, low: int | None, high: int | None) -> Held:
    for code, bound in (("MAXIMUM", low), ("MINIMUM", high)):
        if bound is not None:
            level = torch.full([1] * len(held.shape), bound + region.grid.zero_point)
            constant = writer.constant("bound", level, region.grid)
            inputs = [held.index, constant.index]
            held = writer.appended("clamped", code, inputs, held, Options("MaximumMinimum"))
    return held


def _convolution(writer: Writer, region: Region, inputs: list[Held], fused: int) -> Held:
    layer = region.operator
    held = writer.ordered(inputs[0], CHANNELS_LAST)
    stride, padding, dilation, groups = geometry_of(layer.args[3:], 2)
    held = padded(writer, held, ((padding[0], padding[0]), (padding[1], padding[1])))
    weight = _weight(writer, layer)
    channels = held.shape[1]
    fields = {
        "padding": VALID,
        "strideH": stride[0],
        "strideW": stride[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
        "fusedActivationFunction": fused,
    }
    if groups == channels > 1:
        fields["depthMultiplier"] = len(weight) // channels
        values = _layer_inputs(writer, layer, weight.permute(1, 2, 3, 0), 3)
        code, options = "DEPTHWISE_CONV_2D", Options("DepthwiseConv2D", fields)
    else:
        values = _layer_inputs(writer, layer, weight.permute(0, 2, 3, 1), 0)
        code, options = "CONV_2D", Options("Conv2D", fields)
    return writer.made(layer, code, [held.index, *values], order=CHANNELS_LAST, grid=region.grid, options=options)


def _linear(writer: Writer, region: Region, inputs: list[Held], fused: int) -> Held:
    layer = region.operator
    held = writer.plain(inputs[0])
    values = _layer_inputs(writer, layer, _weight(writer, layer), 0)
    fields = {"fusedActivationFunction": fused, "keepNumDims": len(held.shape) > 2}
    options = Options("FullyConnected", fields)
    return writer.made(layer, "FULLY_CONNECTED", [held.index, *values], grid=region.grid, options=options)


def _weight(writer: Writer, layer: fx.Node) -> Tensor:
    weight: Any = layer.args[1]
    levels: Tensor = writer.source.get_buffer(weight.args[0].target)
    return levels


def _layer_inputs(writer: Writer, layer: fx.Node, weight: Tensor, axis: int) -> list[int]:
    """Add a layer's weight, in the order of its kernel, and its bias on the grid of its sums."""
    dequantize: Any = layer.args[1]
    scales: Tensor = writer.source.get_buffer(dequantize.args[1].target).float()
    bias = whole_bias(writer.source, layer)
    if bias is None:
        bias = torch.zeros(len(scales))
    if bias.abs().max() >= _LARGEST_SUM:
        raise BuildError(
            f"the bias of '{layer.name}' does not fit in int32 on the grid of its sums: a channel's weights are too "
            "small; adapt again, or prune that channel"
        )
    whole = bias.to(torch.int32)
    sums = Scales(sum_scales(writer.source, layer), 0)
    return [
        writer.file.tensor(
            f"{layer.name}_weight", weight.shape, torch.int8, quantized=Scales(scales, axis), data=weight
        ),
        writer.file.tensor(f"{layer.name}_bias", whole.shape, torch.int32, quantized=sums, data=whole),
    ]


def _pointwise(writer: Writer, region: Region, inputs: list[Held], fused: int) -> Held:
    code, table = _ARITHMETIC[region.name]
    order = max(inputs, key=lambda held: len(held.shape)).order
    aligned = [aligned_with(writer, held, order).index for held in inputs]
    options = Options(table, {"fusedActivationFunction": fused})
    return writer.made(region.operator, code, aligned, order=order, grid=region.grid, options=options)


def aligned_with(writer: Writer, held: Held, order: tuple[int, ...]) -> Held:
    """Bring a value that is combined with another one, place by place, into the order of the other."""
    missing = len(order) - len(held.shape)
    if missing:
        # Axes that a value lacks come before those that it has.
        shape = (1,) * missing + held.shape
        held = writer.plain(held)
        extents = writer.numbers("extents", shape)
        wider = Held(held.index, shape, tuple(range(len(shape))), held.grid)
        held = writer.appended("widened", "RESHAPE", [held.index, extents], wider, Options("Reshape"))
    return writer.ordered(held, order)


def _mean(writer: Writer, region: Region, inputs: list[Held], fused: int) -> Held:
    operator = region.operator
    held = writer.ordered(inputs[0], CHANNELS_LAST)
    keep = len(writer.shape(operator)) == len(held.shape)
    axes = writer.numbers(f"{operator.name}_axes", [1, 2])
    order = CHANNELS_LAST if keep else None
    options = Options("Reducer", {"keepDims": keep})
    return writer.made(operator, "MEAN", [held.index, axes], order=order, grid=region.grid, options=options)


_OPERATIONS: Final[dict[str, Callable[[Writer, Region, list[Held], int], Held]]] = {
    _CONVOLUTION: _convolution,
    _LINEAR: _linear,
    **dict.fromkeys(_ARITHMETIC, _pointwise),
    ADAPTIVE_AVERAGE: _mean,
    MEAN: _mean,
}
