"""A module under construction: the value of each name of an ONNX graph, as constants, steps or integer levels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, final

import torch
from torch import Tensor, fx

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._growing_graph import GrowingGraph
from edgerift.deploy.twins.onnx._graph import OnnxGraph, OnnxNode
from edgerift.deploy.twins.onnx._measured import UntranslatedError as UntranslatedError
from edgerift.settings import Registry

_RANGES: Final = {
    torch.uint8: (0, 255),
    torch.int8: (-128, 127),
    torch.int16: (-(2**15), 2**15 - 1),
    torch.int32: (0, 2**16 - 1),  # What a constant of type uint16 is read as.
}


@dataclass(frozen=True)
class Levels:
    """An integer tensor as a step holds it: float32 whole numbers, counted from the zero point `zero`.

    `low` and `high` are the ends of its integer type, not counted from the zero point.
    """

    node: fx.Node
    zero: int
    low: int
    high: int


Real: TypeAlias = Tensor | fx.Node
Value: TypeAlias = Tensor | fx.Node | Levels


@final
class Builder:
    """The graph of a module, beside the ONNX graph that it is made from.

    A value is a tensor while it depends on nothing but constants (it is computed at once), a node, or levels.
    """

    def __init__(self, source: OnnxGraph) -> None:
        """Start with the constants of a graph."""
        self.source = source
        self.steps = GrowingGraph()
        self.graph = self.steps.graph
        self.values: dict[str, Value] = dict(source.constants)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Compute a constant where all arguments are constants, else append a step; returns a tensor or a node."""
        return self.steps.call(function, *arguments)

    def value(self, node: OnnxNode, index: int) -> Value:
        """Fetch an input; raises `UntranslatedError` for one that is left out or not computed before."""
        if not node.has(index):
            raise UntranslatedError(f"{node} lacks its input {index}")
        name = node.inputs[index]
        if name not in self.values:
            raise UntranslatedError(f"{node} reads '{name}', which nothing computes before it")
        return self.values[name]

    def real(self, node: OnnxNode, index: int) -> Real:
        """Fetch an input that is not quantized: a constant or a node."""
        value = self.value(node, index)
        if isinstance(value, Levels):
            raise UntranslatedError(f"{node} computes with 8-bit integers as they are")
        return value

    def reals(self, node: OnnxNode) -> list[Real]:
        """Fetch all inputs, none of them quantized."""
        return [self.real(node, index) for index in range(len(node.inputs))]

    def constant(self, node: OnnxNode, index: int, default: Tensor | None = None) -> Tensor:
        """Fetch an input that has to be a constant, or the default where it is left out."""
        if not node.has(index) and default is not None:
            return default
        value = self.value(node, index)
        if not isinstance(value, Tensor):
            raise UntranslatedError(f"{node} computes its input {index} from the image; it has to be a constant")
        return value

    def number(self, node: OnnxNode, index: int, default: float = 0.0) -> float:
        """Fetch an input that has to be one constant number, or the default where it is left out."""
        if not node.has(index):
            return default
        value = self.constant(node, index)
        if value.numel() != 1:
            raise UntranslatedError(f"{node} has {value.numel()} numbers as its input {index}; one has to be there")
        return float(value)

    def levels(self, node: OnnxNode, index: int, zero: int) -> Real:
        """Fetch a quantized input as levels counted from a zero point: float32 whole numbers."""
        value = self.value(node, index)
        if isinstance(value, Levels):
            return value.node if value.zero == zero else self.call(torch.add, value.node, value.zero - zero)
        if isinstance(value, Tensor):
            return value.float() - zero
        raise UntranslatedError(f"{node} reads an integer tensor that it is not known how to quantize")

    def grid(self, node: OnnxNode, scale: int, zero: int) -> Grid:
        """Read the grid of a result from the positions of its scale and zero point."""
        point = self.constant(node, zero, torch.tensor(0, dtype=torch.uint8))
        if point.numel() != 1 or point.dtype not in _RANGES:
            raise UntranslatedError(f"{node} has {point.numel()} zero points of {_word(point)}; one of 8 bits is known")
        return Grid(self.scale(node, scale), int(point), *_RANGES[point.dtype])

    def scale(self, node: OnnxNode, index: int) -> float:
        """Read the scale of a grid."""
        scale = self.number(node, index)
        if not 0 < scale < math.inf:
            raise UntranslatedError(f"{node} has the scale {scale:g}; one above 0 has to be there")
        return scale

    def scales(self, node: OnnxNode, index: int) -> Tensor:
        """Fetch the constant scales of a weight; one may be 0, where all of its channel is."""
        scales = self.constant(node, index)
        right = (scales >= 0) & (scales < math.inf)
        if not right.all():
            wrong = float(scales[~right][0])
            raise UntranslatedError(f"{node} has the scale {wrong:g} in its input {index}; it is damaged")
        return scales

    def on_grid(self, node: Real, grid: Grid) -> Levels:
        """Make levels of what was rounded to a grid."""
        placed: fx.Node = self.steps.placed(node)
        return Levels(placed, grid.zero_point, grid.minimum, grid.maximum)


OperatorFunction: TypeAlias = Callable[[Builder, OnnxNode], Value | tuple[Value, ...]]
OPERATORS: Final[Registry[OperatorFunction]] = Registry(
    "ONNX operator", "edgerift.deploy.twins.onnx.operators", UntranslatedError
)
"""How the operators of ONNX graphs are translated, by name; those outside the default domain with theirs before it."""


def _word(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
