"""A module under construction, step by step; what depends on constants alone is computed at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from torch import Tensor, fx, nn

from edgerift.deploy.twins._body import Body


@final
class GrowingGraph:
    """The steps of a module to come, and the tensors that they use."""

    def __init__(self) -> None:
        """Start without steps."""
        self.graph = fx.Graph()
        self.root = nn.Module()
        self._stored: dict[int, tuple[Tensor, fx.Node]] = {}

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Compute a constant where all arguments are constants, else append a step; returns a tensor or a node."""
        if not any(isinstance(argument, fx.Node) for argument in _flattened(arguments)):
            return function(*arguments)
        return self.graph.call_function(function, tuple(self.placed(argument) for argument in arguments))

    def placed(self, argument: Any) -> Any:
        """Store a tensor among a step's arguments in the module, once for all its readers."""
        if isinstance(argument, list):
            return [self.placed(item) for item in argument]
        if not isinstance(argument, Tensor):
            return argument
        if id(argument) not in self._stored:
            name = f"constant_{len(self._stored)}"
            self.root.register_buffer(name, argument)
            self._stored[id(argument)] = argument, self.graph.get_attr(name)
        return self._stored[id(argument)][1]

    def ending_in(self, value: fx.Node) -> Body:
        """Make a body that answers with a value."""
        output = self.graph.output(value)
        body = Body(self.root, self.graph)
        self.graph.erase_node(output)
        return body


def _flattened(arguments: Any) -> list[Any]:
    if isinstance(arguments, (list, tuple)):
        return [item for argument in arguments for item in _flattened(argument)]
    return [arguments]
