"""Convolutions and matrix products of ONNX Runtime on integers."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._integer_convolution import convolve_levels
from edgerift.deploy.twins._straight_through import clipped, passing_range, requantize
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Real, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._layers import placed_on
from edgerift.deploy.twins.onnx.operators._layouts import channels_as_asked, channels_second
from edgerift.deploy.twins.onnx.operators._quantizing import levels_and_scale, weight_levels


@OPERATORS.named("QLinearConv")
@OPERATORS.named("com.microsoft.QLinearConv")
def _convolve(builder: Builder, node: OnnxNode) -> Value:
    levels, scale, _ = levels_and_scale(builder, node, 0, 1, 2)
    levels = channels_second(builder, node, levels)
    weight = weight_levels(builder, node, 3, 5, 0)
    grid = builder.grid(node, 6, 7)
    levels, geometry = placed_on(builder, node, levels, weight)
    factor = _factor(scale, builder.scales(node, 4), grid.scale)
    factor = factor.reshape(1, -1, *[1] * (weight.dim() - 2)).expand(1, len(weight), *[1] * (weight.dim() - 2))
    bias = builder.constant(node, 8).float() if node.has(8) else None
    slope = weight * factor.reshape(-1, *[1] * (weight.dim() - 1))
    result = builder.call(convolve_levels, levels, weight, bias, factor, slope, geometry, *_bounds(grid))
    return builder.on_grid(channels_as_asked(builder, node, result), grid)


@OPERATORS.named("com.microsoft.QGemm")
def _product_and_sum(builder: Builder, node: OnnxNode) -> Value:
    if node.attributes.get("transA", 0):
        raise UntranslatedError(f"{node} transposes its first matrix")
    levels, scale, _ = levels_and_scale(builder, node, 0, 1, 2)
    turns = bool(node.attributes.get("transB", 0))
    weight = weight_levels(builder, node, 3, 5, 0 if turns else 1)
    weight = (weight if turns else weight.T).contiguous()
    bias = builder.constant(node, 6).float() if node.has(6) else None
    alpha = torch.tensor(float(node.attributes.get("alpha", 1.0)))
    scales = alpha * torch.tensor(scale) * builder.scales(node, 4)
    sums = builder.call(F.linear, levels, weight, bias)
    if not node.has(7):
        real: Value = builder.call(torch.mul, sums, scales)
        return real
    grid = builder.grid(node, 7, 8)
    return builder.on_grid(builder.call(requantize, sums, scales / torch.tensor(grid.scale), *_bounds(grid)), grid)


@OPERATORS.named("QLinearMatMul")
def _product(builder: Builder, node: OnnxNode) -> Value:
    levels, scale, _ = levels_and_scale(builder, node, 0, 1, 2)
    second, scales = _second(builder, node, 3, 4, 5)
    grid = builder.grid(node, 6, 7)
    sums = builder.call(torch.matmul, levels, second)
    return builder.on_grid(builder.call(requantize, sums, _factor(scale, scales, grid.scale), *_bounds(grid)), grid)


@OPERATORS.named("com.microsoft.MatMulIntegerToFloat")
def _real_product(builder: Builder, node: OnnxNode) -> Value:
    point = int(builder.number(node, 4)) if node.has(4) else 0
    levels, scale = builder.levels(node, 0, point), builder.scales(node, 2)
    second, scales = _second(builder, node, 1, 3, 5)
    real: Value = builder.call(torch.mul, builder.call(torch.matmul, levels, second), scale * scales)
    if node.has(6):
        real = builder.call(torch.add, real, builder.real(node, 6))
    return real


def _second(builder: Builder, node: OnnxNode, value: int, scale: int, zero: int) -> tuple[Real, Tensor]:
    """Fetch the second matrix of a product, a constant or not, as levels, and its scales."""
    if isinstance(builder.value(node, value), Tensor):
        axis = builder.constant(node, value).dim() - 1
        return weight_levels(builder, node, value, zero, axis), builder.scales(node, scale)
    levels, factor, _ = levels_and_scale(builder, node, value, scale, zero)
    return levels, torch.tensor(factor)


def _factor(scale: float, scales: Tensor, result: float) -> Tensor:
    """What brings sums to the result's grid: `(scale * scales) / result`, each step in float32."""
    return (torch.tensor(scale) * scales) / torch.tensor(result)


def _bounds(grid: Grid) -> tuple[Any, Any]:
    return clipped(grid, None, None), passing_range(grid, None, None)
