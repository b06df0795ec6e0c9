"""A twin's computation as data: a list of interpreted steps, so that it can be pickled and generates no code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, final

import torch
from torch import Tensor, fx, nn

from edgerift.deploy.program._operators import operator_name, resolve

_IMAGES: Final = 0


@dataclass(frozen=True)
class Slot:
    """Stands among a step's arguments for the result of another step; slot 0 holds the images."""

    index: int


@dataclass(frozen=True)
class Stored:
    """Stands among a step's arguments for a tensor of the module."""

    name: str


@dataclass(frozen=True)
class Operator:
    """Stands in a pickle for one of PyTorch's operators, which cannot be pickled itself."""

    name: str


@dataclass(frozen=True)
class Step:
    """`slot = function(*arguments, **keywords)`; a function that is a name is a part of the module.

    Nothing after this step reads the slots in `unread`.
    """

    slot: int
    function: Callable[..., Any] | str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    unread: tuple[int, ...] = ()


@final
class Body(nn.Module):
    """What a twin computes: steps in their order, on the tensors and parts of the module.

    It can be copied and pickled, and PyTorch keeps no source code for it, as it does for each graph module.
    """

    steps: tuple[Step, ...]

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        """Take the steps of a graph with one input, and those tensors and parts of `root` that they use."""
        super().__init__()
        steps, output = _read(graph)
        self._keep(root, steps, output)

    def _keep(self, root: nn.Module, steps: Iterable[Step], output: Any) -> None:
        self.steps = _needed(steps, output)
        self.output = output
        for step in self.steps:
            if isinstance(step.function, str):
                self.add_module(step.function, root.get_submodule(step.function))
        for stored in _found((output, [(step.arguments, step.keywords) for step in self.steps]), Stored):
            value = getattr(root, stored.name)
            if isinstance(value, nn.Parameter):
                self.register_parameter(stored.name, value)
            else:
                self.register_buffer(stored.name, value)

    def ending_in(self, output: Slot) -> Body:
        """A body on the same tensors that answers with what stands in a slot."""
        body = Body.__new__(Body)
        nn.Module.__init__(body)
        body._keep(self, self.steps, output)
        return body

    def with_steps(self, steps: Iterable[Step]) -> Body:
        """A body on the same tensors that takes other steps to the same output."""
        body = Body.__new__(Body)
        nn.Module.__init__(body)
        body._keep(self, steps, self.output)
        return body

    def forward(self, images: Tensor) -> Any:
        """Run the steps; a result is freed after its last use, as memory dominates a gradient's cost."""
        values: dict[int, Any] = {_IMAGES: images}
        for step in self.steps:
            function = getattr(self, step.function) if isinstance(step.function, str) else step.function
            arguments = [self._filled(argument, values) for argument in step.arguments]
            keywords = {name: self._filled(argument, values) for name, argument in step.keywords.items()}
            values[step.slot] = function(*arguments, **keywords)
            for slot in step.unread:
                del values[slot]
            del arguments, keywords
        return self._filled(self.output, values)

    def _filled(self, argument: Any, values: dict[int, Any]) -> Any:
        if isinstance(argument, Slot):
            return values[argument.index]
        if isinstance(argument, Stored):
            return getattr(self, argument.name)
        if type(argument) is list:
            return [self._filled(item, values) for item in argument]
        return argument

    def __getstate__(self) -> dict[str, Any]:
        """Name PyTorch's operators, which cannot be pickled."""
        named = (replace(step, function=_named(step.function)) for step in self.steps)  # type: ignore[arg-type]
        return {**self.__dict__, "steps": tuple(named)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Look named operators up again."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.steps = tuple(
            replace(step, function=resolve(step.function.name)) if isinstance(step.function, Operator) else step
            for step in state["steps"]
        )


def _named(function: Callable[..., Any] | str) -> Callable[..., Any] | str | Operator:
    return Operator(operator_name(function)) if isinstance(function, torch._ops.OpOverload) else function


def _read(graph: fx.Graph) -> tuple[list[Step], Any]:
    values: dict[fx.Node, Any] = {}
    steps: list[Step] = []
    for node in graph.nodes:
        if node.op == "placeholder":
            values[node] = Slot(_IMAGES)
        elif node.op == "get_attr":
            values[node] = Stored(str(node.target))
        elif node.op == "output":
            return steps, _translated(node.args[0], values)
        else:
            slot = Slot(len(steps) + 1)
            keywords = {name: _translated(value, values) for name, value in node.kwargs.items()}
            arguments = tuple(_translated(value, values) for value in node.args)
            steps.append(Step(slot.index, node.target, arguments, keywords))
            values[node] = slot
    raise AssertionError("a twin's graph has an output")


def _translated(argument: Any, values: dict[fx.Node, Any]) -> Any:
    if isinstance(argument, fx.Node):
        return values[argument]
    if isinstance(argument, list) or (type(argument) is tuple and any(True for _ in _found(argument, fx.Node))):
        return [_translated(item, values) for item in argument]  # A graph's own kind of list cannot be compiled.
    return tuple(_translated(item, values) for item in argument) if type(argument) is tuple else argument


def _found(argument: Any, kind: type[Any]) -> Iterator[Any]:
    """Walk through nested arguments and give those of a kind."""
    if isinstance(argument, kind):
        yield argument
    elif isinstance(argument, dict):
        yield from _found(list(argument.values()), kind)
    elif isinstance(argument, (list, tuple)):
        for item in argument:
            yield from _found(item, kind)


def _needed(steps: Iterable[Step], output: Any) -> tuple[Step, ...]:
    """Keep the steps that the output needs, and note after which step a result is read no more."""
    read = {slot.index for slot in _found(output, Slot)}
    kept: list[Step] = []
    for step in reversed(list(steps)):
        if step.slot not in read:
            continue
        own = {slot.index for slot in _found((step.arguments, step.keywords), Slot)}
        kept.append(replace(step, unread=tuple(sorted(own - read))))
        read |= own
    return tuple(reversed(kept))
