"""The twin that rounds as the converted graph does: each quantize and dequantize pair becomes one fake quantization."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from torch import Tensor, fx

from edgerift.deploy.program._grid import grid_of, is_dequantize, is_quantize, quantize_arguments
from edgerift.deploy.program._operators import ADAPTIVE_MAXIMUM, CONCATENATE, CONVOLUTIONS, MOVING, operator_name
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._regions import activation_levels, is_activation, is_layer_weight
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._integer_convolution import geometry_of
from edgerift.deploy.twins._rounded_convolution import RoundedConvolution
from edgerift.deploy.twins._straight_through import FakeQuantize
from edgerift.deploy.twins._translation import Translation

_NONE: Final[Mapping[str, Tensor]] = MappingProxyType({})


def graph_twin(program: Program, unrounded: Collection[str] = (), weights: Mapping[str, Tensor] = _NONE) -> Body:
    """Translate a program into real values with straight-through rounding, bit-equal to its converted graph.

    The quantize nodes named in `unrounded` are left out: they neither round nor clip. `weights` gives the nodes that
    dequantize a weight per channel another weight, by their names.
    """
    twin = Translation(program)
    for node in twin.source.graph.nodes:
        if node.name in unrounded:
            twin.values[node] = twin.values[quantize_arguments(node)["input"]]
        elif node.name in weights:
            twin.values[node] = twin.constant(weights[node.name])
        elif is_quantize(node):
            if not _is_read_by_one_convolution(node):
                twin.values[node] = rounded_value(twin, node)
        elif is_dequantize(node):
            copy_dequantized(twin, node)
        elif _reads_unrounded(twin, node):
            twin.values[node] = _rounded_convolution(twin, node)
        else:
            twin.copy(node)
    return twin.finish()


def copy_dequantized(twin: Translation, node: fx.Node) -> None:
    """Let a dequantize node stand for the real value that was rounded, or for the constant that it reads."""
    quantize: Any = node.args[0]
    constant = twin.stored_levels(node)
    if constant is not None:
        twin.values[node] = twin.constant(constant * grid_of(node).scale)
    elif quantize in twin.values:
        twin.values[node] = twin.values[quantize]


def rounded_value(twin: Translation, quantize: fx.Node) -> fx.Node:
    """Append the rounding of a quantize node, straight-through in gradient."""
    if stays_on_grid(quantize):
        return twin.values[quantize_arguments(quantize)["input"]]
    rounding, value = _rounding(twin, quantize)
    return twin.apply(rounding, value)


def _rounding(twin: Translation, quantize: fx.Node) -> tuple[FakeQuantize, fx.Node]:
    """Say how to round, an activation before it included, and what."""
    source = quantize_arguments(quantize)["input"]
    grid = grid_of(quantize)
    activation = source if is_activation(source) else None
    value = twin.values[source if activation is None else source.args[0]]
    return FakeQuantize(grid, *activation_levels(activation, grid)), value


def _is_read_by_one_convolution(quantize: fx.Node) -> bool:
    if stays_on_grid(quantize) or len(quantize.users) != 1:
        return False
    (dequantize,) = quantize.users
    return len(dequantize.users) == 1 and all(_is_convolution_of(dequantize, user) for user in dequantize.users)


def _is_convolution_of(dequantize: fx.Node, user: fx.Node) -> bool:
    if user.op != "call_function" or operator_name(user.target) not in CONVOLUTIONS or user.args[0] is not dequantize:
        return False
    weight: Any = user.args[1]
    return is_layer_weight(weight) and not user.kwargs


def _reads_unrounded(twin: Translation, node: fx.Node) -> bool:
    return bool(node.args) and is_dequantize(node.args[0]) and node.args[0] not in twin.values


def _rounded_convolution(twin: Translation, node: fx.Node) -> fx.Node:
    arguments: Any = node.args
    rounding, value = _rounding(twin, arguments[0].args[0])
    weight = twin.values[arguments[1]]
    bias = twin.values[arguments[2]] if len(arguments) > 2 and arguments[2] is not None else None
    axes = twin.tensor(arguments[1].args[0]).dim() - 2
    return twin.apply(RoundedConvolution(rounding, geometry_of(arguments[3:], axes)), value, weight, bias)


def stays_on_grid(quantize: fx.Node) -> bool:
    """Return whether a quantize node rounds what is on its very grid already, so that it changes nothing."""
    source = quantize_arguments(quantize)["input"]
    if not isinstance(source, fx.Node) or source.op != "call_function":
        return False
    if operator_name(source.target) not in MOVING | {CONCATENATE} or _counts_places(source):
        return False
    inputs: Any = source.args[0] if isinstance(source.args[0], (list, tuple)) else [source.args[0]]
    while len(inputs) == 1 and isinstance(inputs[0], fx.Node) and operator_name(inputs[0].target) in MOVING:
        inputs = [inputs[0].args[0]]
    return all(is_dequantize(node) and grid_of(node) == grid_of(quantize) for node in inputs)


def _counts_places(node: fx.Node) -> bool:
    """Return whether a node takes the places of an adaptive maximum, which are no values."""
    if operator_name(node.target) != "operator.getitem":
        return False
    source: Any = node.args[0]
    return operator_name(source.target) == ADAPTIVE_MAXIMUM and bool(node.args[1] != 0)
