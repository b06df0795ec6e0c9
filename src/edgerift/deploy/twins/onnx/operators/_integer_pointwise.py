"""Sums, products, means and joins of ONNX Runtime on integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._onnxruntime_kernels import (
    add_fused,
    divide_and_round,
    multiply_levels,
)
from edgerift.deploy.twins._straight_through import clipped, passing_range
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._quantizing import levels_and_scale, rounded


@OPERATORS.named("com.microsoft.QLinearAdd")
def _add(builder: Builder, node: OnnxNode) -> Value:
    (first, scale, zero), (second, other, point), grid = _operands(builder, node)
    result = np.float32(grid.scale)
    ratios = float(np.float32(scale) / result), float(np.float32(other) / result)
    zeros = (zero, point, grid.zero_point)
    return builder.on_grid(builder.call(add_fused, first, second, ratios, zeros, *_bounds(grid)), grid)


@OPERATORS.named("com.microsoft.QLinearMul")
def _multiply(builder: Builder, node: OnnxNode) -> Value:
    (first, scale, _), (second, other, _), grid = _operands(builder, node)
    ratio = float(np.float32(scale) * np.float32(other) / np.float32(grid.scale))
    return builder.on_grid(builder.call(multiply_levels, first, second, ratio, grid.zero_point, *_bounds(grid)), grid)


def _operands(builder: Builder, node: OnnxNode) -> tuple[tuple[Any, float, int], tuple[Any, float, int], Grid]:
    first = levels_and_scale(builder, node, 0, 1, 2)
    second = levels_and_scale(builder, node, 3, 4, 5)
    return first, second, builder.grid(node, 6, 7)


@OPERATORS.named("com.microsoft.QLinearConcat")
def _concatenate(builder: Builder, node: OnnxNode) -> Value:
    grid = builder.grid(node, 0, 1)
    parts = []
    for index in range(2, len(node.inputs), 3):
        levels, scale, zero = levels_and_scale(builder, node, index, index + 1, index + 2)
        same = scale == grid.scale and zero == grid.zero_point
        parts.append(levels if same else rounded(builder, builder.call(torch.mul, levels, scale), grid))
    return builder.on_grid(builder.call(torch.cat, parts, int(node.attributes["axis"])), grid)


@OPERATORS.named("com.microsoft.QLinearSoftmax")
def _softmax(builder: Builder, node: OnnxNode) -> Value:
    newer = int(node.attributes.get("opset", 13)) >= 13
    axis = int(node.attributes.get("axis", -1 if newer else 1))
    levels, scale, _ = levels_and_scale(builder, node, 0, 1, 2)
    grid = builder.grid(node, 3, 4)
    return builder.on_grid(builder.call(softmax_levels, levels, scale, grid.scale, axis, *_bounds(grid)), grid)


def softmax_levels(
    levels: Tensor, scale: float, result: float, axis: int, clip: tuple[int, int], passing: tuple[float, float]
) -> Tensor:
    """Softmax whose steps on [0, 1] are `floor(1 / scale)` in number: ONNX Runtime's for the usual 1/255 are 254."""
    steps = float(np.floor(np.float32(1.0) / np.float32(result)))
    return divide_and_round(torch.softmax(levels * scale, axis), levels.new_tensor(1.0 / steps), 0, clip, passing)


@OPERATORS.named("com.microsoft.QLinearSigmoid")
def _sigmoid(builder: Builder, node: OnnxNode) -> Value:
    return _looked_up(builder, node, torch.sigmoid)


@OPERATORS.named("com.microsoft.QLinearLeakyRelu")
def _leaky_relu(builder: Builder, node: OnnxNode) -> Value:
    return _looked_up(builder, node, F.leaky_relu, float(node.attributes.get("alpha", 0.01)))


@OPERATORS.named("com.microsoft.QLinearWhere")
def _where(builder: Builder, node: OnnxNode) -> Value:
    grid = builder.grid(node, 7, 8)
    parts = []
    for index in (1, 4):
        levels, scale, _ = levels_and_scale(builder, node, index, index + 1, index + 2)
        parts.append(rounded(builder, builder.call(torch.mul, levels, scale), grid))
    return builder.on_grid(builder.call(torch.where, builder.real(node, 0), *parts), grid)


def _looked_up(builder: Builder, node: OnnxNode, function: Callable[..., Tensor], *arguments: float) -> Value:
    """Append what the runtime looks up in a table: a function of the real value, rounded to the result's grid."""
    levels, scale, _ = levels_and_scale(builder, node, 0, 1, 2)
    grid = builder.grid(node, 3, 4)
    real = builder.call(function, builder.call(torch.mul, levels, scale), *arguments)
    return builder.on_grid(rounded(builder, real, grid), grid)


def _bounds(grid: Grid) -> tuple[Any, Any]:
    return clipped(grid, None, None), passing_range(grid, None, None)
