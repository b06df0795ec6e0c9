"""Which operators of a program its runtimes compute in integers, and the biases that these add."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from edgerift.deploy.program._grid import grid_of
from edgerift.deploy.program._layers import is_layer, regions_of, sum_scales, whole_bias
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._spelling import runtime_form


class IntegerLayers(NamedTuple):
    """The integer operators of a program, by the names of its operations.

    `operators` are computed from whole levels to whole levels, with one rounding at their end; for additions among them
    `scales` holds the larger scale of the two inputs. `biases` holds each layer's bias `[C]` on the grid of its sums,
    float64, whether or not its result is rounded; layers without a bias are left out.
    """

    operators: frozenset[str]
    scales: Mapping[str, float]
    biases: Mapping[str, Tensor]


def integer_layers(program: Program) -> IntegerLayers:
    """Find what the integer runtimes compute in integers; see :class:`IntegerLayers`."""
    module = runtime_form(program)
    regions = list(regions_of(module.graph).values())
    biases = {}
    for node in module.graph.nodes:
        if is_layer(node):
            whole = whole_bias(module, node)
            if whole is not None:
                biases[node.name] = whole.double() * sum_scales(module, node).double()
    scales = {region.operator.name: max(grid_of(node).scale for node in region.inputs) for region in regions}
    return IntegerLayers(frozenset(scales), scales, biases)
