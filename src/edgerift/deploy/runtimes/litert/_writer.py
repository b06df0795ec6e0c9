"""What the translation of a program into a `.tflite` works with: its values, and the memory order that each has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

import torch
from torch import Tensor, fx
from torch.fx.passes.shape_prop import ShapeProp

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.program._operators import operator_name
from edgerift.deploy.program._spelling import shape_of
from edgerift.deploy.runtimes.litert._file import ModelFile, Options
from edgerift.errors import BuildError
from edgerift.images import ImageShape

#: The order in which the runtime's kernels want feature maps: axis i of the memory is the program's axis ORDER[i].
CHANNELS_LAST: Final = (0, 2, 3, 1)


@dataclass(frozen=True)
class Held:
    """A value of the program as a tensor of the file.

    `shape` is the program's, for one image; axis i of the tensor is the program's axis `order[i]`. The value lies on
    `grid` as int8, or is float32 where there is none.
    """

    index: int
    shape: tuple[int, ...]
    order: tuple[int, ...]
    grid: Grid | None

    @property
    def stored(self) -> tuple[int, ...]:
        """The tensor's own extents."""
        return tuple(self.shape[axis] for axis in self.order)


Find = Callable[[fx.Node], Held]
"""Finds the tensor that holds a node's value."""


@final
class Writer:
    """A file under construction, beside the graph that it is made from."""

    def __init__(self, source: fx.GraphModule, shape: ImageShape) -> None:
        """Note the shapes of the graph's values for one image, and which of their axes grow with the batch."""
        self.source, self.file = source, ModelFile()
        two = {node: _shape(node) for node in source.graph.nodes}
        with torch.no_grad():
            ShapeProp(source).propagate(torch.zeros(1, *shape))
        self.shapes = {node: _shape(node) for node in source.graph.nodes}
        self._growing = {
            node: tuple(axis for axis, pair in enumerate(zip(found, two[node], strict=True)) if pair[0] != pair[1])
            for node, found in self.shapes.items()
        }

    def shape(self, node: fx.Node) -> tuple[int, ...]:
        """The shape of a node's value for one image."""
        return self.shapes[node]

    def free_shape(self, node: fx.Node) -> list[int]:
        """The shape of a node's value, with -1 for the extent that grows with the batch."""
        growing = self._growing[node]
        if len(growing) > 1:
            refuse(node, "has a shape whose extents grow with the batch in more than one place")
        return [-1 if axis in growing else extent for axis, extent in enumerate(self.shape(node))]

    def made(
        self,
        node: fx.Node,
        code: str,
        inputs: Sequence[int],
        *,
        order: Sequence[int] | None = None,
        grid: Grid | None = None,
        options: Options | None = None,
    ) -> Held:
        """Append an operator that computes a node's value, in an order of memory."""
        shape = self.shape(node)
        held = Held(-1, shape, tuple(order or range(len(shape))), grid)
        return self.appended(node.name, code, inputs, held, options)

    def appended(self, name: str, code: str, inputs: Sequence[int], held: Held, options: Options | None = None) -> Held:
        """Append an operator whose result is described by all of `held` but its index."""
        dtype = torch.float32 if held.grid is None else torch.int8
        index = self.file.tensor(name, held.stored, dtype, quantized=held.grid)
        self.file.operator(code, inputs, index, options)
        return replace(held, index=index)

    def numbers(self, name: str, values: Any) -> int:
        """Add a constant of int32 numbers, as operators take their axes and extents."""
        data = torch.tensor(values, dtype=torch.int32)
        return self.file.tensor(name, data.shape, torch.int32, data=data)

    def constant(self, name: str, value: Tensor, grid: Grid | None = None) -> Held:
        """Add a constant: levels on a grid, int8, or real numbers, float32."""
        data = value.detach().float() if grid is None else value.detach().to(torch.int8)
        index = self.file.tensor(name, data.shape, data.dtype, quantized=grid, data=data)
        return Held(index, tuple(data.shape), tuple(range(data.dim())), grid)

    def ordered(self, held: Held, order: Sequence[int]) -> Held:
        """Bring a value into another order of memory."""
        wanted = tuple(order)
        if held.order == wanted:
            return held
        target = replace(held, order=wanted)
        if _moving_axes(held) == _moving_axes(target):
            shape = [extent if axis else -1 for axis, extent in zip(wanted, target.stored, strict=True)]
            extents = self.numbers("extents", shape)
            return self.appended("reshaped", "RESHAPE", [held.index, extents], target, Options("Reshape"))
        axes = self.numbers("axes", [held.order.index(axis) for axis in wanted])
        return self.appended("transposed", "TRANSPOSE", [held.index, axes], target, Options("Transpose"))

    def plain(self, held: Held) -> Held:
        """Bring a value into the program's own order."""
        return self.ordered(held, range(len(held.shape)))


def _moving_axes(held: Held) -> list[int]:
    """The axes that have more than one place, or more than one image, in their order in memory."""
    return [axis for axis in held.order if axis == 0 or held.shape[axis] != 1]


def _shape(node: fx.Node) -> tuple[int, ...]:
    described = node.meta.get("tensor_meta")
    return tuple(shape_of(node)) if hasattr(described, "shape") else ()


def refuse(node: fx.Node, reason: str) -> None:
    """Raise the error for a node that has no place in a file."""
    named = f"'{node.name}' ({operator_name(node.target)})" if node.op == "call_function" else f"'{node.name}'"
    raise BuildError(f"LiteRT cannot run the program: {named} {reason}; choose another runtime, or rewrite that layer")
