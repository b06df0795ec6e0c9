"""Comparisons between two grids: runtimes fuse two roundings in a row into one, and lose what the first one rounds."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import fx

from edgerift.deploy.program._grid import grid_of, is_dequantize, is_quantize, quantize_arguments
from edgerift.deploy.program._regions import activation_bounds, is_activation

_SIDES: Final = (
    ("low", float("-inf"), torch.ops.aten.maximum.default),
    ("high", float("inf"), torch.ops.aten.minimum.default),
)


def separate_grids(module: fx.GraphModule, *, also_plain: bool = False) -> None:
    """Write each clamp between two grids as a maximum and a minimum, which no runtime fuses; the values stay.

    `also_plain` puts a maximum between two grids that follow each other without a clamp, too: with the least value of
    the first one, which changes nothing.
    """
    for node in list(module.graph.nodes):
        if is_activation(node) and is_dequantize(node.args[0]):
            if not all(is_quantize(reader) and _same_grid(reader, node.args[0]) for reader in node.users):
                node.replace_all_uses_with(_compared(module, node, node.args[0], *activation_bounds(node)))
                module.graph.erase_node(node)
        elif also_plain and is_quantize(node):
            source: Any = quantize_arguments(node)["input"]
            if is_dequantize(source) and not _same_grid(node, source):
                grid = grid_of(source)
                node.update_arg(0, _compared(module, node, source, grid.low * grid.scale, float("inf")))


def _same_grid(first: fx.Node, second: Any) -> bool:
    return grid_of(first) == grid_of(second)


def _compared(module: fx.GraphModule, before: fx.Node, value: Any, low: float, high: float) -> Any:
    with module.graph.inserting_before(before):
        for (side, unbounded, function), bound in zip(_SIDES, (low, high), strict=True):
            if bound != unbounded:
                module.register_buffer(f"{before.name}_{side}", torch.tensor([bound]))
                constant = module.graph.get_attr(f"{before.name}_{side}")
                value = module.graph.call_function(function, (value, constant))
    return value
