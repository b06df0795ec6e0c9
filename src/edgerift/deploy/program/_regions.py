"""Where a converted graph computes in integers: an operator between dequantize nodes and one quantize node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import fx

from edgerift.deploy.program._grid import Grid, grid_of, is_dequantize, quantize_arguments
from edgerift.deploy.program._operators import DEQUANTIZE_CHANNELS, HARDTANH, RELU, WEIGHTED, operator_name


@dataclass(frozen=True)
class Region:
    """One integer operation: `inputs` are dequantize nodes, `operator` computes, `quantize` rounds the result.

    `activation`, if any, is a ReLU or a clamp (hardtanh) between operator and quantize, which the runtimes fuse.
    """

    operator: fx.Node
    activation: fx.Node | None
    quantize: fx.Node

    @property
    def name(self) -> str:
        """The operator's name, as in `aten.conv2d.default`."""
        return operator_name(self.operator.target)

    @property
    def grid(self) -> Grid:
        """The grid of the result."""
        return grid_of(self.quantize)

    @property
    def inputs(self) -> list[fx.Node]:
        """The dequantize nodes that feed the operator, lists flattened, in order."""
        return [node for node in _flattened(self.operator.args) if is_dequantize(node)]

    @property
    def absorbed(self) -> list[fx.Node]:
        """The nodes that the region stands for, beside its quantize node."""
        return [self.operator] if self.activation is None else [self.operator, self.activation]

    def clip(self) -> tuple[int | None, int | None]:
        """The activation's bounds in levels counted from the zero point; None where it does not bound."""
        return activation_levels(self.activation, self.grid)


def find_region(quantize: fx.Node) -> Region | None:
    """Find the integer operation that ends in a quantize node, or None when it rounds a float computation."""
    source = quantize_arguments(quantize)["input"]
    activation = None
    if is_activation(source) and _only_user(source):
        inner = source.args[0]
        if not is_dequantize(inner):
            activation, source = source, inner
    if not isinstance(source, fx.Node) or source.op != "call_function" or not _only_user(source):
        return None
    if source.kwargs:
        return None  # What is still given by name has a meaning that the plain operator has not.
    tensors = [node for node in _flattened(source.args) if isinstance(node, fx.Node)]
    region = Region(source, activation, quantize)
    quantized = tensors[:1] if region.name in WEIGHTED else tensors
    if not quantized or not all(is_dequantize(node) for node in quantized):
        return None
    if region.name in WEIGHTED and not is_layer_weight(tensors[1]):
        return None
    return region


def reads_integers(node: fx.Node) -> bool:
    """Return whether all values that an operator computes with come from integers: dequantize nodes, stored weights."""
    nodes = [value for value in _flattened(node.args) if isinstance(value, fx.Node)]
    tensors = [value for value in nodes if value.op == "call_function"]
    return bool(tensors) and all(
        is_dequantize(value) or operator_name(value.target) == DEQUANTIZE_CHANNELS for value in tensors
    )


def is_layer_weight(node: fx.Node) -> bool:
    """Return whether a node dequantizes a stored weight that has a scale for each of a layer's output channels."""
    if operator_name(node.target) != DEQUANTIZE_CHANNELS:
        return False
    stored: list[Any] = list(node.args[:3])
    return bool(node.args[3] == 0) and all(source.op == "get_attr" for source in stored)


def is_activation(node: Any) -> bool:
    """Return whether a graph argument is a ReLU or a clamp."""
    if not isinstance(node, fx.Node) or node.op != "call_function" or node.kwargs:
        return False
    return operator_name(node.target) in (RELU, HARDTANH)


def activation_levels(activation: fx.Node | None, grid: Grid) -> tuple[int | None, int | None]:
    """Translate an activation's bounds to levels of a grid, counted from the zero point."""
    if activation is None:
        return None, None
    if operator_name(activation.target) == RELU:
        return 0, None
    low, high = hardtanh_bounds(activation)
    return grid.level(low), grid.level(high)


def activation_bounds(activation: fx.Node) -> tuple[float, float]:
    """Read what a ReLU or a clamp bounds real values by; infinite where it does not."""
    return (0.0, float("inf")) if operator_name(activation.target) == RELU else hardtanh_bounds(activation)


def hardtanh_bounds(node: fx.Node) -> tuple[float, float]:
    """Read the two bounds of a hardtanh node."""
    bounds = [-1.0, 1.0]
    for place, bound in enumerate(node.args[1:]):
        bounds[place] = float(bound)  # type: ignore[arg-type]
    return bounds[0], bounds[1]


def _only_user(node: fx.Node) -> bool:
    return len(node.users) == 1


def _flattened(values: Any) -> list[Any]:
    if isinstance(values, (list, tuple)):
        return [item for value in values for item in _flattened(value)]
    return [values]
