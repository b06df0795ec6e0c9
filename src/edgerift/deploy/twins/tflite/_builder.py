"""A module under construction beside the graph that it is made from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeAlias, final

from torch import Tensor, fx

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._growing_graph import GrowingGraph
from edgerift.deploy.twins.tflite._graph import ENDS, TfliteGraph, TfliteOperator, TfliteTensor, UntranslatedError
from edgerift.settings import Registry

Kernels: TypeAlias = Literal["default", "builtin", "reference"]
"""The kernels of LiteRT: XNNPACK's where it has one, its own optimised ones, or its plain reference."""

Real: TypeAlias = Tensor | fx.Node


@final
class Builder:
    """The steps of a module, made operator by operator.

    A tensor of 8-bit integers is kept as float32 whole numbers, counted from its zero point; all others as they are.
    `kernels` are those that compute the operator at hand.
    """

    def __init__(self, source: TfliteGraph, kernels: Kernels) -> None:
        """Start with the constants of a graph."""
        self.source, self.kernels = source, kernels
        self.steps = GrowingGraph()
        self.values: dict[int, Real] = {}

    def call(self, function: Callable[..., Any], *arguments: Any) -> Real:
        """Compute a constant where all arguments are constants, else append a step; returns a tensor or a node."""
        made: Real = self.steps.call(function, *arguments)
        return made

    def tensor(self, operator: TfliteOperator, position: int = 0) -> TfliteTensor:
        """Describe an input; raises `UntranslatedError` for one that is left out."""
        if not operator.has(position):
            raise UntranslatedError(f"{operator} lacks its input {position}")
        return self.source.tensors[operator.inputs[position]]

    def result(self, operator: TfliteOperator) -> TfliteTensor:
        """Describe the first output."""
        if not operator.outputs:
            raise UntranslatedError(f"{operator} has no output")
        return self.source.tensors[operator.outputs[0]]

    def value(self, operator: TfliteOperator, position: int = 0) -> Real:
        """Fetch an input: levels counted from the zero point where it is quantized, else the numbers themselves."""
        described = self.tensor(operator, position)
        index = operator.inputs[position]
        if index in self.values:
            return self.values[index]
        if described.data is None:
            raise UntranslatedError(f"{operator} reads '{described.name}', which nothing computes before it")
        made = described.data if described.grid is None else described.data.float() - described.grid.zero_point
        self.values[index] = made
        return made

    def constant(self, operator: TfliteOperator, position: int) -> Tensor:
        """Fetch an input that has to be a constant, as the file stores it or as constants alone make it."""
        described = self.tensor(operator, position)
        made = self.values.get(operator.inputs[position])
        if described.data is not None:
            return described.data
        if isinstance(made, Tensor):
            return made
        if made is None:
            told = f"'{described.name}' of {described.dtype}"
            raise UntranslatedError(f"{operator} reads {told}, which nothing computes or which is not translated")
        raise UntranslatedError(f"{operator} computes its input {position} from the image; it has to be a constant")

    def whole(self, operator: TfliteOperator, position: int) -> tuple[int, ...]:
        """Fetch an input that has to be a constant of a few whole numbers."""
        found = self.constant(operator, position)
        if found.is_floating_point() or found.numel() > 64:
            raise UntranslatedError(f"{operator} needs a few whole numbers as its input {position}")
        return tuple(int(number) for number in found.flatten().tolist())

    def is_quantized(self, operator: TfliteOperator) -> bool:
        """Return whether an operator computes on 8-bit integers; raises `UntranslatedError` for other types of both."""
        described, result = self.tensor(operator), self.result(operator)
        for tensor in (described, result):
            if tensor.dtype == "int16":
                raise UntranslatedError(f"{operator} computes with activations of 16 bits; 8 bits are translated")
            if tensor.dtype != "float32" and tensor.dtype not in ENDS:
                raise UntranslatedError(f"{operator} computes with {tensor.dtype}; float32, int8 and uint8 are known")
        if (described.dtype == "float32") != (result.dtype == "float32"):
            raise UntranslatedError(f"{operator} turns {described.dtype} into {result.dtype}")
        return described.dtype != "float32"

    def grid(self, operator: TfliteOperator, position: int = 0) -> Grid:
        """The grid of a quantized input."""
        return _grid(operator, self.tensor(operator, position))

    def result_grid(self, operator: TfliteOperator) -> Grid:
        """The grid of a quantized result."""
        return _grid(operator, self.result(operator))


def _grid(operator: TfliteOperator, tensor: TfliteTensor) -> Grid:
    if tensor.dtype == "int16":
        raise UntranslatedError(f"{operator} computes with activations of 16 bits; 8 bits are translated")
    if tensor.dtype not in ENDS:
        raise UntranslatedError(f"{operator} reads or makes '{tensor.name}' of {tensor.dtype}; 8 bits are translated")
    if tensor.grid is None:
        raise UntranslatedError(f"{operator}: '{tensor.name}' is {tensor.dtype} without one scale and zero point")
    if not tensor.grid.minimum <= tensor.grid.zero_point <= tensor.grid.maximum:
        raise UntranslatedError(f"{operator}: '{tensor.name}' has the zero point {tensor.grid.zero_point}")
    return tensor.grid


OperatorFunction: TypeAlias = Callable[[Builder, TfliteOperator], Real | tuple[Real, ...]]
OPERATORS: Final[Registry[OperatorFunction]] = Registry(
    "TFLite operator", "edgerift.deploy.twins.tflite.operators", UntranslatedError
)
"""How operators are translated, by their names in the schema."""
