"""The twin that rounds as ONNX Runtime's integer kernels (MLAS) do on x86."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import fx

from edgerift.deploy.program._grid import Grid, grid_of
from edgerift.deploy.program._layers import real_bias, sum_scales, whole_bias
from edgerift.deploy.program._operators import ADAPTIVE_AVERAGE, ADD, AVERAGE, MEAN, MULTIPLY, operator_name
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._regions import Region
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._integer_twin import (
    Kernels,
    integer_twin,
    keeps_extent,
    layer_sums,
    per_channel,
    rounding,
)
from edgerift.deploy.twins._onnx_graph import onnx_form, zero_level
from edgerift.deploy.twins._onnxruntime_kernels import (
    add_fused,
    divide_and_round,
    multiply_levels,
    pool_and_round,
    requantize_mean,
)
from edgerift.deploy.twins._straight_through import clipped, passing_range
from edgerift.deploy.twins._translation import Translation

_LINEAR: Final = "aten.linear.default"


def onnxruntime_twin(program: Program) -> Body:
    """Translate a program into the arithmetic of the kernels that ONNX Runtime picks for its build on x86 with AVX2.

    What it does not run in integers stays in float, in the order of the exported graph.
    """
    operators = {ADD: _add, ADAPTIVE_AVERAGE: _mean, MEAN: _mean, AVERAGE: _average, MULTIPLY: _multiply}
    return integer_twin(program, Kernels(_quantize, operators, _real_layer), onnx_form(program))


def _quantize(twin: Translation, grid: Grid, value: fx.Node) -> fx.Node:
    scale = twin.constant(torch.tensor(grid.scale))
    return twin.call(divide_and_round, value, scale, 0, clipped(grid, None, None), passing_range(grid, None, None))


def _mean(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    scales = (grid_of(region.inputs[0]).scale, region.grid.scale)
    return twin.call(requantize_mean, inputs[0], scales, keeps_extent(region), *rounding(region))


def _average(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    scales = (grid_of(region.inputs[0]).scale, region.grid.scale)
    pooling = region.operator.args[1:]
    zero = zero_level(region.quantize)
    return twin.call(pool_and_round, inputs[0], pooling, scales, zero, *rounding(region))


def _multiply(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    first, second = (np.float32(grid_of(node).scale) for node in region.inputs)
    ratio = float(first * second / np.float32(region.grid.scale))
    return twin.call(multiply_levels, *inputs, ratio, zero_level(region.quantize), *rounding(region))


def _add(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    scales = [np.float32(grid_of(node).scale) for node in (*region.inputs, region.quantize)]
    zeros = tuple(zero_level(node) for node in (*region.inputs, region.quantize))
    first, second = scales[0] / scales[2], scales[1] / scales[2]
    return twin.call(add_fused, *inputs, (float(first), float(second)), zeros, *rounding(region))


def _real_layer(twin: Translation, layer: fx.Node, levels: fx.Node) -> fx.Node:
    factor = twin.constant(per_channel(layer, sum_scales(twin.source, layer)))
    if operator_name(layer.target) == _LINEAR:
        return twin.call(torch.mul, layer_sums(twin, layer, levels, whole_bias(twin.source, layer)), factor)
    real = twin.call(torch.mul, layer_sums(twin, layer, levels, None), factor)
    bias = real_bias(twin.source, layer)
    return real if bias is None else twin.call(torch.add, real, twin.constant(per_channel(layer, bias)))
