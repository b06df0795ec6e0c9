"""Two graphs walked as one: the operators of a build with those of its original, found by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from torch import Tensor, fx

from edgerift.deploy import operator_name

QUANTIZE: Final = "quantized_decomposed.quantize_per_tensor.default"
DEQUANTIZE: Final = "quantized_decomposed.dequantize_per_tensor.default"
_DEQUANTIZE_CHANNELS: Final = "quantized_decomposed.dequantize_per_channel.default"


#: The name of the images in both graphs, which no operator has.
_IMAGES: Final = "the images"


class UnalignedError(Exception):
    """The operators of two graphs do not correspond to each other."""


@dataclass(frozen=True)
class Value:
    """Stands among arguments for the result of another step, or for the images.

    `origin` names the result that was rounded to it, if any; the original has it under that name.
    """

    name: str
    origin: str


@final
@dataclass(frozen=True)
class Step:
    """An operator with its arguments in both graphs; one that rounds has none in the original.

    Numbers and constants stand there as they are, tensors of real numbers as float64.
    """

    name: str
    operator: str
    function: Callable[..., Any]
    original: tuple[Any, ...]
    build: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rounds(self) -> bool:
        """Whether the step stands in the build alone, where it brings values to a grid or back."""
        return self.operator in (QUANTIZE, DEQUANTIZE)

    @property
    def reads(self) -> set[str]:
        """The names of the values that the step needs."""
        return {value.name for value in _flat(self.build) if isinstance(value, Value)}


@final
@dataclass(frozen=True)
class Plan:
    """The steps from the images to the logits; `images` and `logits` are the names of these values."""

    images: str
    steps: tuple[Step, ...]
    logits: str


def plan_of(build: fx.GraphModule, original: fx.GraphModule) -> Plan:
    """Align the graph of a build with that of its original, which may be the same one.

    Raises :class:`UnalignedError` where the two do not compute with the same operators.
    """
    sides = _Side(build), _Side(original)
    partners = {node.name: node for node in original.graph.nodes}
    steps = [_step(node, sides, partners) for node in build.graph.nodes if node in sides[0].computed]
    return Plan(_IMAGES, tuple(steps), _logits(sides))


def _step(node: fx.Node, sides: tuple[_Side, _Side], partners: Mapping[str, fx.Node]) -> Step:
    operator: Any = node.target
    name = operator_name(operator)
    build = sides[0].arguments(node)
    if name in (QUANTIZE, DEQUANTIZE):
        return Step(node.name, name, operator, (), build, dict(node.kwargs))
    partner = partners.get(node.name)
    if partner is None or partner.target is not node.target or partner.kwargs.keys() != node.kwargs.keys():
        raise UnalignedError(f"the original has no {name} '{node.name}'")
    original = sides[1].arguments(partner)
    if not _correspond(list(original), list(build)):
        raise UnalignedError(f"'{node.name}' ({name}) has other arguments in the original")
    keywords = {key: value for key, value in node.kwargs.items() if value is not None}
    if any(isinstance(value, fx.Node) for value in keywords.values()):
        raise UnalignedError(f"'{node.name}' ({name}) is given a value by a keyword")
    return Step(node.name, name, operator, original, build, keywords)


def _logits(sides: tuple[_Side, _Side]) -> str:
    found, expected = (side.end for side in sides)
    if expected.name not in (found.name, found.origin):
        raise UnalignedError(f"the build ends in '{found.origin}' and the original in '{expected.name}'")
    return found.name


def _correspond(original: Any, build: Any) -> bool:
    if isinstance(original, list | tuple) and isinstance(build, list | tuple):
        pairs = zip(original, build, strict=False)
        return len(original) == len(build) and all(_correspond(*pair) for pair in pairs)
    if isinstance(build, Tensor) or isinstance(original, Tensor):
        return isinstance(build, Tensor) and isinstance(original, Tensor) and build.shape == original.shape
    if isinstance(build, Value) and isinstance(original, Value):
        return original.name in (build.name, build.origin)
    return type(original) is type(build) and bool(original == build)


class _Side:
    """One graph: its nodes that depend on the images, and the arguments of each as a plan has them."""

    def __init__(self, module: fx.GraphModule) -> None:
        self._module = module
        self._constants: dict[fx.Node, Any] = {}
        self.data: set[fx.Node] = set()
        for node in module.graph.nodes:
            if node.op == "placeholder" or any(source in self.data for source in node.all_input_nodes):
                self.data.add(node)
        self.computed = {node for node in self.data if node.op == "call_function"}

    @property
    def end(self) -> Value:
        """The logits."""
        output = next(node for node in self._module.graph.nodes if node.op == "output")
        (found,) = _flat([self.argument(output.args[0])])
        value: Value = found
        return value

    def arguments(self, node: fx.Node) -> tuple[Any, ...]:
        return tuple(self.argument(argument) for argument in node.args)

    def argument(self, given: Any) -> Any:
        if isinstance(given, list | tuple):
            return [self.argument(value) for value in given]
        if not isinstance(given, fx.Node):
            return given
        if given not in self.data:
            return self._constant(given)
        return Value(_name(given), _name(_origin(given)))

    def _constant(self, node: fx.Node) -> Any:
        if node not in self._constants:
            self._constants[node] = self._computed(node)
        return self._constants[node]

    def _computed(self, node: fx.Node) -> Any:
        if node.op == "get_attr":
            value: Any = self._module
            for part in str(node.target).split("."):
                value = getattr(value, part)
            return value.detach().double() if value.is_floating_point() else value.detach()
        arguments = self.arguments(node)
        if operator_name(node.target) == DEQUANTIZE:
            levels, scale, zero = arguments[:3]
            return (levels.double() - zero) * float(torch.tensor(scale, dtype=torch.float32))
        if operator_name(node.target) == _DEQUANTIZE_CHANNELS:
            levels, scales, zeros, axis = arguments[:4]
            extent = [-1 if place == axis else 1 for place in range(levels.dim())]
            return (levels.double() - zeros.double().view(extent)) * scales.double().view(extent)
        function: Any = node.target
        return function(*arguments, **node.kwargs)


def _name(node: fx.Node) -> str:
    return _IMAGES if node.op == "placeholder" else node.name


def _origin(node: fx.Node) -> fx.Node:
    """The value that a node hands on, rounded or not."""
    while node.op == "call_function" and operator_name(node.target) in (QUANTIZE, DEQUANTIZE):
        node = node.args[0]  # type: ignore[assignment]
    return node


def _flat(given: Any) -> list[Any]:
    return [leaf for value in given for leaf in _flat(value)] if isinstance(given, list | tuple) else [given]
