"""Which quantize nodes share one grid, so that training moves them together."""

from __future__ import annotations

from typing import Any

from torch import fx

from edgerift.deploy.program._grid import Grid, grid_of, is_dequantize, is_quantize, quantize_arguments
from edgerift.deploy.program._operators import AVERAGE, CONCATENATE, HARDTANH, MOVING, RELU, operator_name
from edgerift.deploy.twins._translation import GLOBAL_AVERAGES

_SHARING = MOVING | GLOBAL_AVERAGES | {AVERAGE, CONCATENATE, RELU, HARDTANH}


def grid_groups(module: fx.GraphModule) -> tuple[dict[str, int], list[Grid]]:
    """Number the grids of a converted graph: the group of each quantize and dequantize node, the grid of each group.

    Two quantize nodes are of one group when their grids are equal and an operator that keeps the grid (a move, a
    pooling, a concatenation) leads from one to the other.
    """
    parent: dict[fx.Node, fx.Node] = {node: node for node in module.graph.nodes if is_quantize(node)}

    def root(node: fx.Node) -> fx.Node:
        while parent[node] is not node:
            node = parent[node]
        return node

    for quantize in list(parent):
        for source in _sharing_sources(quantize):
            if grid_of(source) == grid_of(quantize):
                parent[root(quantize)] = root(source)
    numbers: dict[fx.Node, int] = {}
    groups: dict[str, int] = {}
    for quantize in parent:
        number = groups[quantize.name] = numbers.setdefault(root(quantize), len(numbers))
        groups.update({user.name: number for user in quantize.users if is_dequantize(user)})
    return groups, [grid_of(node) for node in numbers]


def _sharing_sources(quantize: fx.Node) -> list[fx.Node]:
    """Collect the quantize nodes that reach this one through operators that keep the grid."""
    found: list[fx.Node] = []
    waiting: list[Any] = [quantize_arguments(quantize)["input"]]
    while waiting:
        node = waiting.pop()
        if is_dequantize(node):
            found.append(node.args[0])
        elif isinstance(node, fx.Node) and operator_name(node.target) in _SHARING:
            first = node.args[0]
            waiting.extend(first if isinstance(first, (list, tuple)) else [first])
    return found
