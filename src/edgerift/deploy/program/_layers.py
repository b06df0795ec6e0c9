"""What a runtime's export and its twin both have to know about the integer layers of a converted graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

from edgerift.deploy.program._grid import grid_of, is_dequantize, is_quantize, stored
from edgerift.deploy.program._operators import ADAPTIVE_AVERAGE, MEAN, WEIGHTED, operator_name
from edgerift.deploy.program._regions import Region, find_region, is_layer_weight
from edgerift.deploy.program._spelling import shape_of


def regions_of(graph: fx.Graph) -> dict[fx.Node, Region]:
    """Find the integer operations of a graph, by their quantize nodes."""
    return {node: region for node in graph.nodes if is_quantize(node) and (region := find_region(node))}


def is_layer(node: fx.Node) -> bool:
    """Return whether a node is a convolution or a linear layer of quantized values and weights."""
    if node.op != "call_function" or operator_name(node.target) not in WEIGHTED:
        return False
    weight: Any = node.args[1]
    return is_dequantize(node.args[0]) and is_layer_weight(weight) and not node.kwargs


def is_global_average(node: fx.Node) -> bool:
    """Return whether a node is a mean over height and width."""
    if node.op != "call_function" or node.kwargs or operator_name(node.target) not in (ADAPTIVE_AVERAGE, MEAN):
        return False
    extent: Any = node.args[1]
    if operator_name(node.target) == ADAPTIVE_AVERAGE:
        return list(extent) == [1, 1]
    # Counted from the end, the axes are those of images only where two others come before them.
    return len(shape_of(node.args[0])) == 4 and _axes(extent) == [2, 3]


def _axes(given: Any) -> list[int]:
    return sorted(axis % 4 for axis in given)


def sum_scales(module: fx.GraphModule, layer: fx.Node) -> Tensor:
    """The real value `[C_out]` of one unit of a layer's integer sums: its input's scale times its weights', float32."""
    source: Any = layer.args[0]
    weight: Any = layer.args[1]
    return stored(module, weight.args[1]).float() * torch.tensor(grid_of(source).scale)


def real_bias(module: fx.GraphModule, layer: fx.Node) -> Tensor | None:
    """A layer's bias `[C_out]`, float32, if it has one."""
    bias: Any = layer.args[2] if len(layer.args) > 2 else None
    return None if bias is None else stored(module, bias)


def whole_bias(module: fx.GraphModule, layer: fx.Node) -> Tensor | None:
    """A layer's bias on the grid of its sums: float32 whole numbers `[C_out]`, rounded half to even.

    It is multiplied by the reciprocal, in float32, as ExecuTorch does when it writes a `.pte`: a division would land on
    the other side of a tie now and then, and move a whole channel by a level.
    """
    bias = real_bias(module, layer)
    return None if bias is None else torch.round(bias * (1.0 / sum_scales(module, layer)))
