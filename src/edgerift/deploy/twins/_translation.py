"""What every translation of a converted graph into a twin shares: a new graph, folded weights, copied nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

from torch import Tensor, fx, nn

from edgerift.deploy.program._grid import grid_of, stored
from edgerift.deploy.program._operators import ADAPTIVE_AVERAGE, DEQUANTIZE_CHANNELS, MEAN, operator_name
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._spelling import read_program
from edgerift.deploy.twins._body import Body

#: Both compute the mean over height and width; a twin uses one spelling, so that one rule serves both.
GLOBAL_AVERAGES: Final = frozenset({ADAPTIVE_AVERAGE, MEAN})


@final
class Translation:
    """A twin's graph under construction, beside the converted graph that it is read from.

    `values` maps a converted node to the new node that holds its real value.
    """

    def __init__(self, program: Program, source: fx.GraphModule | None = None) -> None:
        """Start an empty graph with the program's image as its input; `source` is another form of its graph."""
        self.source = source or read_program(program)
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.values: dict[fx.Node, fx.Node] = {}

    def constant(self, value: Tensor) -> fx.Node:
        """Store a tensor in the twin and return the node that fetches it."""
        name = f"constant_{sum(1 for _ in self.root.buffers())}"
        self.root.register_buffer(name, value)
        return self.graph.get_attr(name)

    def parameter(self, value: Tensor) -> fx.Node:
        """Store a tensor that learns and return the node that fetches it."""
        name = f"parameter_{sum(1 for _ in self.root.parameters(recurse=False))}"
        self.root.register_parameter(name, nn.Parameter(value.clone()))
        return self.graph.get_attr(name)

    def call(self, function: Callable[..., Any], *arguments: Any) -> fx.Node:
        """Append a call to the twin's graph."""
        return self.graph.call_function(function, arguments)

    def apply(self, module: nn.Module, *arguments: Any) -> fx.Node:
        """Append a call to a module, which becomes part of the twin."""
        name = f"{type(module).__name__.lower()}_{sum(1 for _ in self.root.children())}"
        self.root.add_module(name, module)
        return self.graph.call_module(name, arguments)

    def tensor(self, node: Any) -> Tensor:
        """Fetch a tensor stored in the converted graph."""
        return stored(self.source, node)

    def copy(self, node: fx.Node) -> None:
        """Append a node as it is, computing on real values; per-channel weights are folded into constants."""
        if node.op == "get_attr":
            self.values[node] = self.constant(self.tensor(node))
        elif node.op == "call_function" and operator_name(node.target) == DEQUANTIZE_CHANNELS:
            self.values[node] = self.constant(self.real_weight(node))
        else:
            self.values[node] = self.graph.node_copy(node, lambda original: self.values[original])

    def integer_weight(self, node: fx.Node) -> tuple[Tensor, Tensor]:
        """Return a layer's weight: its levels (float32 whole numbers) and its scales `[C_out]`."""
        weight, scales, zero_points = (self.tensor(argument) for argument in node.args[:3])
        shape = [-1] + [1] * (weight.dim() - 1)
        return weight.float() - zero_points.float().view(shape), scales.float()

    def real_weight(self, node: fx.Node) -> Tensor:
        """Return a per-channel weight as float32: `(q - zero_point) * scale`, as the converted graph computes it."""
        weight, scales, zero_points = (self.tensor(argument) for argument in node.args[:3])
        shape = [1] * weight.dim()
        shape[int(node.args[3])] = -1  # type: ignore[arg-type]
        return (weight.float() - zero_points.float().view(shape)) * scales.float().view(shape)

    def stored_levels(self, dequantize: fx.Node) -> Tensor | None:
        """Return the levels of a dequantized constant, counted from the zero point; None when it is computed."""
        source: Any = dequantize.args[0]
        if source.op != "get_attr":
            return None
        return self.tensor(source).float() - grid_of(dequantize).zero_point

    def finish(self) -> Body:
        """Return the twin's module, without what nothing uses."""
        return Body(self.root, self.graph)
