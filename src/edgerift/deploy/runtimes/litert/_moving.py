"""Operators that only move or choose values: the same for levels and for real numbers, in any order of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from torch import fx

from edgerift.deploy.program._operators import CONCATENATE, operator_name
from edgerift.deploy.runtimes.litert._file import Options
from edgerift.deploy.runtimes.litert._windows import append_maximum
from edgerift.deploy.runtimes.litert._writer import Find, Held, Writer, refuse


def append_move(writer: Writer, node: fx.Node, find: Find) -> Held:
    """Append what moves values; `find` gives the tensor that holds the value of another node."""
    return MOVES[operator_name(node.target)](writer, node, find)


def _same(writer: Writer, node: fx.Node, find: Find) -> Held:
    return find(_source(node))


def _reshape(writer: Writer, node: fx.Node, find: Find) -> Held:
    held = find(_source(node))
    shape = writer.shape(node)
    if held.shape == shape:
        return held
    held = writer.plain(held)
    extents = writer.numbers(f"{node.name}_extents", writer.free_shape(node))
    return writer.made(node, "RESHAPE", [held.index, extents], grid=held.grid, options=Options("Reshape"))


def _permute(writer: Writer, node: fx.Node, find: Find) -> Held:
    """Nothing moves: the same memory is read in another order."""
    held = find(_source(node))
    axes: Any = node.args[1]
    return _permuted(held, [int(axis) % len(held.shape) for axis in axes])


def _transpose(writer: Writer, node: fx.Node, find: Find) -> Held:
    held = find(_source(node))
    axes = list(range(len(held.shape)))
    one, two = (axis % len(axes) for axis in _numbers(node, 1, 3))
    axes[one], axes[two] = axes[two], axes[one]
    return _permuted(held, axes)


def _permuted(held: Held, axes: list[int]) -> Held:
    order = tuple(axes.index(axis) for axis in held.order)
    return replace(held, shape=tuple(held.shape[axis] for axis in axes), order=order)


def _slice(writer: Writer, node: fx.Node, find: Find) -> Held:
    given: list[Any] = [*node.args[1:], *(0, None, None, 1)[len(node.args) - 1 :]]
    axis, start, end, step = given
    held = find(_source(node))
    length = held.shape[axis % len(held.shape)]
    begin, stop, stride = slice(start, end, step).indices(length)
    return _cut(writer, node, held, axis, begin, stop, stride)


def _select(writer: Writer, node: fx.Node, find: Find) -> Held:
    held = find(_source(node))
    axis, place = _numbers(node, 1, 3)
    place %= held.shape[axis % len(held.shape)]
    cut = writer.plain(_cut(writer, node, held, axis, place, place + 1, 1))
    extents = writer.numbers(f"{node.name}_extents", writer.free_shape(node))
    return writer.made(node, "RESHAPE", [cut.index, extents], grid=held.grid, options=Options("Reshape"))


def _part(writer: Writer, node: fx.Node, find: Find) -> Held:
    """One part of a division: `operator.getitem` of a chunk or a split."""
    division = _source(node)
    if operator_name(division.target) not in _DIVISIONS:
        refuse(node, "takes one of several results, which only divisions of a tensor have here")
    held = find(_source(division))
    axis = next(iter(_numbers(division, 2, 3)), 0)
    lengths = [shape[axis] for shape in (part.shape for part in division.meta["tensor_meta"])]
    (index,) = _numbers(node, 1, 2)
    start = sum(lengths[:index])
    return _cut(writer, node, held, axis, start, start + lengths[index], 1)


def _cut(writer: Writer, node: fx.Node, held: Held, axis: int, start: int, end: int, step: int) -> Held:
    axis %= len(held.shape)
    if axis == 0:
        refuse(node, "divides the batch")
    place = held.order.index(axis)
    count = len(held.order)
    begin, stop, stride = ([other] * count for other in (0, 0, 1))
    begin[place], stop[place], stride[place] = start, end, step
    mask = (1 << count) - 1 - (1 << place)
    numbers = [
        writer.numbers(f"{node.name}_{what}", values)
        for what, values in (("begin", begin), ("end", stop), ("step", stride))
    ]
    options = Options("StridedSlice", {"beginMask": mask, "endMask": mask})
    length = len(range(start, end, step))
    cut = replace(held, shape=tuple(length if other == axis else extent for other, extent in enumerate(held.shape)))
    return writer.appended(node.name, "STRIDED_SLICE", [held.index, *numbers], cut, options)


def _concatenate(writer: Writer, node: fx.Node, find: Find) -> Held:
    sources: Any = node.args[0]
    parts = [find(part) for part in sources]
    order = parts[0].order
    axis = next(iter(_numbers(node, 1, 2)), 0) % len(order)
    inputs = [writer.ordered(part, order).index for part in parts]
    options = Options("Concatenation", {"axis": order.index(axis)})
    return writer.made(node, "CONCATENATION", inputs, order=order, grid=parts[0].grid, options=options)


def _source(node: fx.Node) -> fx.Node:
    source: fx.Node = node.args[0]  # type: ignore[assignment]
    return source


def _numbers(node: fx.Node, start: int, end: int) -> list[int]:
    """Read those of a node's arguments that are given among the ones from `start` to `end`, whole numbers."""
    given: Any = node.args[start:end]
    return [int(number) for number in given]


_DIVISIONS: Final = ("aten.chunk.default", "aten.split.Tensor", "aten.split_with_sizes.default")

#: What appends each moving operator.
MOVES: Final[dict[str, Callable[[Writer, fx.Node, Find], Held]]] = {
    **{f"aten.{name}": _reshape for name in ("flatten.using_ints", "view.default", "reshape.default")},
    **{f"aten.{name}": _reshape for name in ("squeeze.dim", "squeeze.dims", "unsqueeze.default")},
    **{f"aten.{name}": _same for name in ("contiguous.default", "clone.default", "dropout.default", "detach.default")},
    "aten.permute.default": _permute,
    "aten.transpose.int": _transpose,
    "aten.slice.Tensor": _slice,
    "aten.select.int": _select,
    "operator.getitem": _part,
    "aten.max_pool2d.default": append_maximum,
    CONCATENATE: _concatenate,
}
