"""From real values to integers and back."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._onnxruntime_kernels import divide_and_round
from edgerift.deploy.twins._straight_through import clipped, passing_range
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Levels, Real, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode

_OUTPUT_TYPES = {2: torch.uint8, 3: torch.int8, 5: torch.int16}


@OPERATORS.named("QuantizeLinear")
@OPERATORS.named("com.microsoft.QuantizeLinear")
def _quantize(builder: Builder, node: OnnxNode) -> Value:
    value, scale = builder.real(node, 0), builder.scales(node, 1)
    if isinstance(value, Tensor):
        return _quantized_constant(builder, node, value, scale)
    grid = _grid(builder, node)
    return builder.on_grid(rounded(builder, value, grid), grid)


def _grid(builder: Builder, node: OnnxNode) -> Grid:
    """Read the grid that a node rounds to; the type of a zero point that is left out is an attribute."""
    if node.has(2):
        return builder.grid(node, 1, 2)
    ends = torch.iinfo(_output_type(node))
    return Grid(builder.scale(node, 1), 0, ends.min, ends.max)


def _output_type(node: OnnxNode) -> torch.dtype:
    return _OUTPUT_TYPES.get(int(node.attributes.get("output_dtype", 2)), torch.uint8)


def rounded(builder: Builder, value: Real, grid: Grid, zero: int = 0) -> Real:
    """Append the rounding of a real value to a grid; a kernel that rounds after adding its zero point passes it."""
    bounds = clipped(grid, None, None), passing_range(grid, None, None)
    result: Real = builder.call(divide_and_round, value, torch.tensor(grid.scale), zero, *bounds)
    return result


def _quantized_constant(builder: Builder, node: OnnxNode, value: Tensor, scale: Tensor) -> Tensor:
    zero = builder.constant(node, 2, torch.zeros(1, dtype=_output_type(node)))
    ends = torch.iinfo(zero.dtype)
    scale, shift = along(node, scale, value), along(node, zero.float(), value)
    return ((value / scale).round() + shift).clamp(ends.min, ends.max).to(zero.dtype)


@OPERATORS.named("DequantizeLinear")
@OPERATORS.named("com.microsoft.DequantizeLinear")
def _dequantize(builder: Builder, node: OnnxNode) -> Value:
    value, scale = builder.value(node, 0), builder.scales(node, 1)
    zero = builder.constant(node, 2, torch.tensor(0))
    if isinstance(value, Tensor):
        return levels_from(value, along(node, zero.float(), value)) * along(node, scale, value)
    if scale.numel() != 1 or zero.numel() != 1:
        raise UntranslatedError(f"{node} has a scale for each channel of what the image gives")
    result: Value = builder.call(torch.mul, builder.levels(node, 0, int(zero)), builder.scale(node, 1))
    return result


def along(node: OnnxNode, values: Tensor, of: Tensor) -> Tensor:
    """Shape scales or zero points so that they broadcast: one, one for each index of an axis, or one a block of it."""
    if values.numel() == 1:
        return values.reshape(())
    axis, block = int(node.attributes.get("axis", 1)) % of.dim(), int(node.attributes.get("block_size", 0))
    if block:
        return values.repeat_interleave(block, axis).narrow(axis, 0, of.shape[axis])
    shape = [1] * of.dim()
    shape[axis] = -1
    return values.reshape(shape)


def levels_and_scale(builder: Builder, node: OnnxNode, value: int, scale: int, zero: int) -> tuple[Any, float, int]:
    """Fetch an integer input with its scale and its zero point."""
    point = int(builder.number(node, zero))
    return builder.levels(node, value, point), builder.scale(node, scale), point


def weight_levels(builder: Builder, node: OnnxNode, value: int, zero: int, axis: int) -> Tensor:
    """Fetch a constant weight as levels counted from its zero points, of which it has one or one for each channel."""
    weight, points = builder.constant(node, value), builder.constant(node, zero, torch.tensor(0.0)).float()
    shape = [1] * weight.dim()
    shape[axis] = -1
    return levels_from(weight, points.reshape(()) if points.numel() == 1 else points.reshape(shape))


def levels_from(stored: Tensor, zero: Tensor) -> Tensor:
    """Count stored integers from their zero points, which have the shape of the result: float32 whole numbers.

    Large weights are copied once, into the order of memory in which layers read them.
    """
    order = torch.channels_last if stored.dim() == 4 else torch.contiguous_format
    levels = stored.to(torch.float32, memory_format=order)
    return levels - zero if zero.any() else levels


def whole_or_none(value: Any) -> Levels | None:
    """Return a value if it holds levels."""
    return value if isinstance(value, Levels) else None
