"""The twin that rounds as the converted graph does: each quantize and dequantize pair becomes one fake quantization."""

from __future__ import annotations

from typing import Any

from torch import fx

from edgerift.deploy._grid import grid_of, is_dequantize, is_quantize, quantize_arguments
from edgerift.deploy._operators import CONCATENATE, MOVING, operator_name
from edgerift.deploy._program import Program
from edgerift.deploy._regions import activation_levels, is_activation
from edgerift.deploy._straight_through import FakeQuantize
from edgerift.deploy._translation import Translation


def graph_twin(program: Program) -> fx.GraphModule:
    """Translate a program into real values with straight-through rounding, bit-equal to its converted graph."""
    twin = Translation(program)
    for node in twin.source.graph.nodes:
        if is_quantize(node):
            twin.values[node] = _rounded(twin, node)
        elif is_dequantize(node):
            twin.values[node] = twin.values[node.args[0]]
        else:
            twin.copy(node)
    return twin.finish()


def _rounded(twin: Translation, quantize: fx.Node) -> fx.Node:
    source = quantize_arguments(quantize)["input"]
    grid = grid_of(quantize)
    if stays_on_grid(quantize):
        return twin.values[source]
    activation = source if is_activation(source) else None
    value = twin.values[source if activation is None else source.args[0]]
    return twin.apply(FakeQuantize(grid, *activation_levels(activation, grid)), value)


def stays_on_grid(quantize: fx.Node) -> bool:
    """Tell whether a quantize node rounds what is on its very grid already, so that it changes nothing."""
    source = quantize_arguments(quantize)["input"]
    if not isinstance(source, fx.Node) or source.op != "call_function":
        return False
    if operator_name(source.target) not in MOVING | {CONCATENATE}:
        return False
    inputs: Any = source.args[0] if isinstance(source.args[0], (list, tuple)) else [source.args[0]]
    while len(inputs) == 1 and isinstance(inputs[0], fx.Node) and operator_name(inputs[0].target) in MOVING:
        inputs = [inputs[0].args[0]]
    return all(is_dequantize(node) and grid_of(node) == grid_of(quantize) for node in inputs)
