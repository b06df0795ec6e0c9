"""Means of ONNX Runtime on integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._onnxruntime_kernels import pool_and_round, requantize_mean
from edgerift.deploy.twins._straight_through import clipped, passing_range
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._layouts import channels_as_asked, channels_second
from edgerift.deploy.twins.onnx.operators._pooling import window_of
from edgerift.deploy.twins.onnx.operators._quantizing import levels_and_scale


@OPERATORS.named("com.microsoft.QLinearGlobalAveragePool")
def _global_average(builder: Builder, node: OnnxNode) -> Value:
    levels, scale, _ = levels_and_scale(builder, node, 0, 1, 2)
    levels, grid = channels_second(builder, node, levels), builder.grid(node, 3, 4)
    return _appended(builder, node, grid, requantize_mean, levels, (scale, grid.scale), True)


@OPERATORS.named("com.microsoft.QLinearAveragePool")
def _average(builder: Builder, node: OnnxNode) -> Value:
    levels, scale, _ = levels_and_scale(builder, node, 0, 1, 2)
    grid = builder.grid(node, 3, 4)
    levels, window = window_of(builder, node, channels_second(builder, node, levels))
    return _appended(builder, node, grid, pool_and_round, levels, window, (scale, grid.scale), grid.zero_point)


def _appended(builder: Builder, node: OnnxNode, grid: Grid, function: Callable[..., Any], *arguments: Any) -> Value:
    bounds = clipped(grid, None, None), passing_range(grid, None, None)
    result = builder.call(function, *arguments, *bounds)
    return builder.on_grid(channels_as_asked(builder, node, result), grid)
