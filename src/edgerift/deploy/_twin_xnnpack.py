"""The twin that rounds as XNNPACK's integer kernels do, which ExecuTorch runs on phones.

Between operations the twin holds levels counted from the zero point, `q - zero_point`, as whole numbers in float32.
A convolution of such numbers is exact while every partial sum stays below 2^24, in whatever order it is summed.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, fx

from edgerift.deploy._grid import Grid, grid_of, is_dequantize, is_quantize, quantize_arguments
from edgerift.deploy._operators import ADD, CONCATENATE, MEAN, MOVING, WEIGHTED, name_of
from edgerift.deploy._program import Program
from edgerift.deploy._regions import Region, find_region
from edgerift.deploy._straight_through import QuantizeLevels, add_fixed_point, clipped, passing_range, requantize
from edgerift.deploy._translation import GLOBAL_AVERAGES, Translation
from edgerift.deploy._twin_graph import stays_on_grid

#: XNNPACK keeps this many bits of the larger of an addition's two multipliers.
_ADD_BITS: Final = 20


def xnnpack_twin(program: Program) -> fx.GraphModule:
    """Translate a program into XNNPACK's arithmetic; what XNNPACK does not run in integers stays in float."""
    twin = Translation(program)
    levels: dict[fx.Node, fx.Node] = {}
    regions = {node: region for node in twin.source.graph.nodes if is_quantize(node) and (region := _known(node))}
    absorbed = {node for region in regions.values() for node in region.absorbed}
    for node in twin.source.graph.nodes:
        if node in absorbed:
            continue
        if node in regions:
            levels[node] = _integer(twin, regions[node], levels)
        elif is_quantize(node):
            levels[node] = _from_real(twin, node, levels)
        elif is_dequantize(node):
            twin.values[node] = twin.call(torch.mul, levels[node.args[0]], grid_of(node).scale)
        else:
            twin.copy(node)
    return twin.finish()


def _known(quantize: fx.Node) -> Region | None:
    region = find_region(quantize)
    if region is None or region.name not in WEIGHTED | GLOBAL_AVERAGES | {ADD}:
        return None
    if region.name == ADD and len(region.inputs) != 2:
        return None
    if region.name in GLOBAL_AVERAGES and not _is_global(region.operator):
        return None
    return region


def _is_global(node: fx.Node) -> bool:
    extent: Any = node.args[1]
    return list(extent) in ([1, 1], [-1, -2], [2, 3], [-2, -1])


def _from_real(twin: Translation, quantize: fx.Node, levels: dict[fx.Node, fx.Node]) -> fx.Node:
    source = quantize_arguments(quantize)["input"]
    if stays_on_grid(quantize):
        return _moved(twin, source, levels)
    return twin.apply(QuantizeLevels(grid_of(quantize)), twin.values[source])


def _moved(twin: Translation, node: fx.Node, levels: dict[fx.Node, fx.Node]) -> fx.Node:
    """Append what only moves values, on levels instead of real values; `levels` remembers it for its other users."""
    if is_dequantize(node):
        source: Any = node.args[0]
        return levels[source]
    if name_of(node.target) not in MOVING | {CONCATENATE}:
        return twin.values[node]
    if node not in levels:
        levels[node] = twin.graph.node_copy(node, lambda original: _moved(twin, original, levels))
    return levels[node]


def _integer(twin: Translation, region: Region, levels: dict[fx.Node, fx.Node]) -> fx.Node:
    inputs: list[Any] = [levels[node.args[0]] for node in region.inputs]  # type: ignore[index]
    grids = [grid_of(node) for node in region.inputs]
    low, high = region.clip()
    grid = region.grid
    clip = clipped(grid, low, high)
    passing = passing_range(grid, low, high)
    if region.name == ADD:
        multipliers, shift = add_multipliers(*grids, grid)
        return twin.call(add_fixed_point, *inputs, multipliers, shift, clip, passing)
    if region.name in GLOBAL_AVERAGES:
        ratio = twin.constant(torch.tensor(_ratio(grids[0].scale, grid.scale)))
        keep = region.name != MEAN or region.operator.args[2:] == (True,)
        return twin.call(_requantize_mean, inputs[0], ratio, keep, clip, passing)
    sums, factor = _weighted_sums(twin, region, inputs[0], grids[0])
    return twin.call(requantize, sums, factor, clip, passing)


def _weighted_sums(twin: Translation, region: Region, levels: fx.Node, grid: Grid) -> tuple[fx.Node, fx.Node]:
    node = region.operator
    weight, scales = twin.integer_weight(node.args[1])  # type: ignore[arg-type]
    products = np.float32(grid.scale) * scales.numpy()
    bias = twin.tensor(node.args[2]).numpy() if len(node.args) > 2 and node.args[2] is not None else None
    whole = None if bias is None else twin.constant(torch.from_numpy(np.rint(bias / products)))
    factor = torch.from_numpy(products / np.float32(region.grid.scale))
    if weight.dim() > 2:
        factor = factor.view([1, -1] + [1] * (weight.dim() - 2))
    sums = twin.call(node.target, levels, twin.constant(weight), whole, *node.args[3:])  # type: ignore[arg-type]
    return sums, twin.constant(factor)


def _ratio(numerator: float, denominator: float) -> float:
    return float(np.float32(numerator) / np.float32(denominator))


def _requantize_mean(
    levels: Tensor, ratio: Tensor, keep: bool, clip: tuple[int, int], passing: tuple[float, float]
) -> Tensor:
    sums = levels.sum((2, 3), keepdim=keep)
    return requantize(sums, ratio / (levels.shape[2] * levels.shape[3]), clip, passing)


def add_multipliers(first: Grid, second: Grid, result: Grid) -> tuple[tuple[int, int], int]:
    """Derive the fixed-point multipliers and the shift of XNNPACK's int8 addition.

    The larger of the two ratios `scale_in / scale_out` keeps 20 bits: with `2^e <= max ratio < 2^(e+1)`, the shift is
    `20 - e` and a multiplier is `round(ratio * 2^shift)`.

    >>> grids = [Grid(scale, 0, -128, 127) for scale in (0.5, 0.25, 1.0)]
    >>> add_multipliers(*grids)
    ((1048576, 524288), 21)
    """
    ratios = [_ratio(grid.scale, result.scale) for grid in (first, second)]
    exponent = math.frexp(max(ratios))[1] - 1
    shift = _ADD_BITS - exponent
    one, two = (round(math.ldexp(ratio, shift)) for ratio in ratios)
    return (one, two), shift
