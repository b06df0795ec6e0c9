"""What the twins of integer runtimes share: levels instead of real values between operations.

Between operations such a twin holds levels counted from the zero point, `q - zero_point`, as whole numbers in float32.
A convolution of such numbers is exact while every partial sum stays below 2^24, in whatever order it is summed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, fx

from edgerift.deploy.program._grid import Grid, grid_of, is_dequantize, is_quantize, quantize_arguments
from edgerift.deploy.program._layers import is_global_average, is_layer, regions_of, sum_scales, whole_bias
from edgerift.deploy.program._operators import (
    ADD,
    CONCATENATE,
    CONVOLUTIONS,
    MEAN,
    MOVING,
    MULTIPLY,
    SUBTRACT,
    WEIGHTED,
    operator_name,
)
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._regions import Region
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._integer_convolution import convolve_levels, geometry_of
from edgerift.deploy.twins._straight_through import clipped, passing_range, requantize
from edgerift.deploy.twins._translation import GLOBAL_AVERAGES, Translation
from edgerift.deploy.twins._twin_graph import stays_on_grid

#: How many dimensions follow the channels in a layer's result.
_EXTENTS: Final = {"aten.linear.default": 0, "aten.conv1d.default": 1, "aten.conv2d.default": 2}

_ROOT: Final = "aten.sqrt.default"

Clip = tuple[int, int]
Passing = tuple[float, float]


@dataclass(frozen=True)
class Kernels:
    """How one runtime rounds.

    `quantize` appends the rounding of a real value to a grid. `operators` maps the name of an operator that runs in
    integers, beside convolutions and linear layers, to what appends it, given the levels of its inputs. `real_layer`,
    if the runtime has it, appends a layer whose result is not rounded, given the levels of its input.
    """

    quantize: Callable[[Translation, Grid, fx.Node], fx.Node]
    operators: Mapping[str, Callable[[Translation, Region, list[fx.Node]], fx.Node]]
    real_layer: Callable[[Translation, fx.Node, fx.Node], fx.Node] | None = None

    def takes(self, region: Region) -> bool:
        """Return whether the runtime computes a region in integers."""
        if region.name in (ADD, SUBTRACT, MULTIPLY) and len(region.inputs) != 2:
            return False
        if region.name in GLOBAL_AVERAGES and not is_global_average(region.operator):
            return False
        return region.name in WEIGHTED or region.name in self.operators


def integer_twin(program: Program, kernels: Kernels, source: fx.GraphModule) -> Body:
    """Translate a program into a runtime's arithmetic, from the form of its graph that the runtime reads.

    What the runtime does not run in integers stays in float.
    """
    twin = Translation(program, source)
    levels: dict[fx.Node, fx.Node] = {}
    regions = {node: region for node, region in regions_of(twin.source.graph).items() if kernels.takes(region)}
    absorbed = {node for region in regions.values() for node in region.absorbed}
    for node in twin.source.graph.nodes:
        if node in absorbed:
            continue
        if node in regions:
            levels[node] = _integer(twin, kernels, regions[node], levels)
        elif is_quantize(node):
            levels[node] = _from_real(twin, kernels, node, levels)
        elif is_dequantize(node):
            twin.values[node] = twin.call(torch.mul, levels[node.args[0]], grid_of(node).scale)
        elif node.op == "get_attr" and any(is_dequantize(user) for user in node.users):
            levels[node] = _stored(twin, node)
        elif kernels.real_layer is not None and is_layer(node):
            twin.values[node] = kernels.real_layer(twin, node, _levels_of(node.args[0], levels))
        elif node.op == "call_function" and operator_name(node.target) == _ROOT:
            twin.values[node] = twin.call(rounded_root, twin.values[node.args[0]])
        else:
            twin.copy(node)
    return twin.finish()


def rounded_root(value: Tensor) -> Tensor:
    """The square root to the nearest float32, as the runtimes compute it; PyTorch's own may be off by the last bit."""
    return value.double().sqrt().to(value.dtype)


def rounding(region: Region) -> tuple[Clip, Passing]:
    """The levels that a region's result is clipped to, and between which its gradient passes."""
    bounds = region.clip()
    return clipped(region.grid, *bounds), passing_range(region.grid, *bounds)


def layer_sums(twin: Translation, layer: fx.Node, levels: fx.Node, bias: Tensor | None) -> fx.Node:
    """Append a layer on levels: its integer sums as whole numbers in float32."""
    weight, _ = twin.integer_weight(layer.args[1])  # type: ignore[arg-type]
    added = None if bias is None else twin.constant(bias)
    return twin.call(layer.target, levels, twin.constant(weight), added, *layer.args[3:])  # type: ignore[arg-type]


def per_channel(layer: fx.Node, values: Tensor) -> Tensor:
    """Shape values `[C_out]` so that they broadcast against a layer's result."""
    extents = {"aten.linear.default": 0, "aten.conv1d.default": 1, "aten.conv2d.default": 2}[
        operator_name(layer.target)
    ]
    return values.view([1, -1] + [1] * extents) if extents else values


def keeps_extent(region: Region) -> bool:
    """Return whether a global average leaves height and width of 1 in its result."""
    return region.name != MEAN or region.operator.args[2:] == (True,)


def _integer(twin: Translation, kernels: Kernels, region: Region, levels: dict[fx.Node, fx.Node]) -> fx.Node:
    inputs = [_levels_of(node, levels) for node in region.inputs]
    if region.name not in WEIGHTED:
        return kernels.operators[region.name](twin, region, inputs)
    layer = region.operator
    bias = whole_bias(twin.source, layer)
    factor = per_channel(layer, sum_scales(twin.source, layer) / torch.tensor(region.grid.scale))
    if region.name not in CONVOLUTIONS:
        sums = layer_sums(twin, layer, inputs[0], bias)
        return twin.call(requantize, sums, twin.constant(factor), *rounding(region))
    weight, _ = twin.integer_weight(layer.args[1])  # type: ignore[arg-type]
    slope = weight * factor.view([-1] + [1] * (weight.dim() - 1))
    added = None if bias is None else twin.constant(bias)
    constants = (twin.constant(weight), added, twin.constant(factor), twin.constant(slope))
    geometry = geometry_of(layer.args[3:], weight.dim() - 2)
    return twin.call(convolve_levels, inputs[0], *constants, geometry, *rounding(region))


def _stored(twin: Translation, node: fx.Node) -> fx.Node:
    """Append the levels of a constant, which has a grid but no operation."""
    constant = next(twin.stored_levels(user) for user in node.users if is_dequantize(user))
    assert constant is not None
    return twin.constant(constant)


def _levels_of(dequantize: Any, levels: dict[fx.Node, fx.Node]) -> fx.Node:
    return levels[dequantize.args[0]]


def _from_real(twin: Translation, kernels: Kernels, quantize: fx.Node, levels: dict[fx.Node, fx.Node]) -> fx.Node:
    source = quantize_arguments(quantize)["input"]
    if stays_on_grid(quantize):
        return _moved(twin, source, levels)
    return kernels.quantize(twin, grid_of(quantize), twin.values[source])


def _moved(twin: Translation, node: fx.Node, levels: dict[fx.Node, fx.Node]) -> fx.Node:
    """Append what only moves values, on levels instead of real values; `levels` remembers it for its other users."""
    if is_dequantize(node):
        return _levels_of(node, levels)
    if operator_name(node.target) not in MOVING | {CONCATENATE}:
        return twin.values[node]
    if node not in levels:
        levels[node] = twin.graph.node_copy(node, lambda original: _moved(twin, original, levels))
    return levels[node]
