"""Dynamic quantization: each image gets a grid of its own, as it does where it is answered alone.

ONNX Runtime chooses the grid of a tensor by all images of a batch, so that an answer depends on the others in it. What
is translated here are the answers to batches of one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgerift.deploy.twins._integer_convolution import Geometry
from edgerift.deploy.twins._straight_through import inside
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Real, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._layers import placed_on
from edgerift.deploy.twins.onnx.operators._quantizing import weight_levels

Context = Any


@OPERATORS.named("DynamicQuantizeLinear")
def _quantize(builder: Builder, node: OnnxNode) -> tuple[Value, ...]:
    value = builder.real(node, 0)
    scale = builder.call(scale_of, value)
    # Levels are counted from their zero point, whatever it is, and so who reads it is given 0.
    return builder.call(round_to_own_grid, value, scale), scale, torch.tensor(0, dtype=torch.uint8)


def scale_of(value: Tensor) -> Tensor:
    """The scale of each image `[N,1,...]`: a 255th of what its numbers and zero span; 1 where that is nothing."""
    low, high = (ends.detach() for ends in torch.aminmax(value.detach().flatten(1), dim=1))
    scale = (high.clamp_min(0) - low.clamp_max(0)) / 255
    return torch.where(scale == 0, 1.0, scale).reshape(-1, *[1] * (value.dim() - 1))


class _RoundToOwnGrid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, value: Tensor, scale: Tensor) -> Tensor:
        low = value.flatten(1).amin(1).clamp_max(0).reshape(scale.shape)
        zero = (-low / scale).clamp(0, 255).round()
        levels = ((value / scale).round() + zero).clamp(0, 255) - zero
        ctx.save_for_backward(levels, scale)
        return levels

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        levels, scale = ctx.saved_tensors
        return inside(grad, levels, -256.0, 256.0) / scale, None


def round_to_own_grid(value: Tensor, scale: Tensor) -> Tensor:
    """Round each image to its own 8-bit grid of that scale: whole levels counted from its zero point."""
    levels: Tensor = _RoundToOwnGrid.apply(value, scale)  # type: ignore[no-untyped-call]
    return levels


@OPERATORS.named("ConvInteger")
def _convolve(builder: Builder, node: OnnxNode) -> Value:
    levels, weight = _first(builder, node, 2), weight_levels(builder, node, 1, 3, 0)
    levels, geometry = placed_on(builder, node, levels, weight)
    result: Value = builder.call(convolve_whole, levels, weight, geometry)
    return result


def convolve_whole(levels: Tensor, weight: Tensor, geometry: tuple[Any, ...]) -> Tensor:
    """Convolve whole numbers."""
    return Geometry(*geometry).convolve(levels, weight, None)


@OPERATORS.named("MatMulInteger")
def _product(builder: Builder, node: OnnxNode) -> Value:
    weight = weight_levels(builder, node, 1, 3, builder.constant(node, 1).dim() - 1)
    result: Value = builder.call(torch.matmul, _first(builder, node, 2), weight)
    return result


@OPERATORS.named("com.microsoft.DynamicQuantizeMatMul")
def _product_of_reals(builder: Builder, node: OnnxNode) -> Value:
    value = builder.real(node, 0)
    scale = builder.call(scale_of, value)
    weight = weight_levels(builder, node, 1, 3, builder.constant(node, 1).dim() - 1)
    sums = builder.call(torch.matmul, builder.call(round_to_own_grid, value, scale), weight)
    result: Value = builder.call(torch.mul, sums, builder.call(torch.mul, scale, builder.scales(node, 2)))
    return builder.call(torch.add, result, builder.real(node, 4)) if node.has(4) else result


def _first(builder: Builder, node: OnnxNode, zero: int) -> Real:
    """Fetch the first operand: what an image's own grid holds, or integers with a constant zero point."""
    value = builder.value(node, 0)
    if isinstance(value, torch.fx.Node):
        return value
    return builder.levels(node, 0, int(builder.number(node, zero)))
