"""Operators that only move or choose values: the same for levels and for real numbers, in any order of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from torch import fx

from edgerift.deploy.program._operators import CONCATENATE, operator_name
from edgerift.deploy.runtimes.litert._file import Options
from edgerift.deploy.runtimes.litert._writer import CHANNELS_LAST, Held, Writer, refuse

Find = Callable[[fx.Node], Held]
_ALL: Final = 2**31 - 1
_LOWEST: Final = -128


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
    axes = [axis % len(held.shape) for axis in node.args[1]]  # type: ignore[union-attr]
    return _permuted(held, axes)


def _transpose(writer: Writer, node: fx.Node, find: Find) -> Held:
    held = find(_source(node))
    axes = list(range(len(held.shape)))
    one, two = (int(axis) % len(axes) for axis in node.args[1:3])  # type: ignore[arg-type]
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
    axis, place = (int(value) for value in node.args[1:3])  # type: ignore[arg-type]
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
    axis = int(division.args[2] if len(division.args) > 2 else 0)  # type: ignore[arg-type]
    lengths = [shape[axis] for shape in (part.shape for part in division.meta["tensor_meta"])]
    index = int(node.args[1])  # type: ignore[arg-type]
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
    parts = [find(part) for part in node.args[0]]  # type: ignore[union-attr,arg-type]
    order = parts[0].order
    axis = int(node.args[1] if len(node.args) > 1 else 0) % len(order)  # type: ignore[arg-type]
    inputs = [writer.ordered(part, order).index for part in parts]
    options = Options("Concatenation", {"axis": order.index(axis)})
    return writer.made(node, "CONCATENATION", inputs, order=order, grid=parts[0].grid, options=options)


def _largest(writer: Writer, node: fx.Node, find: Find) -> Held:
    given: list[Any] = [*node.args[1:], *(None, [], [0, 0], [1, 1], False)[len(node.args) - 1 :]]
    kernel, stride, padding, dilation, _ = given
    if list(dilation) != [1, 1]:
        refuse(node, "has windows with gaps")
    steps = list(stride or kernel)
    held = writer.ordered(find(_source(node)), CHANNELS_LAST)
    lengths, windows = held.shape[2:], writer.shape(node)[2:]
    # Whatever `ceil_mode` adds, windows reach as far as the last one does.
    after = [(windows[axis] - 1) * steps[axis] + kernel[axis] - lengths[axis] - padding[axis] for axis in (0, 1)]
    held = padded_lowest(writer, held, [(padding[axis], after[axis]) for axis in (0, 1)])
    return writer.made(
        node,
        "MAX_POOL_2D",
        [held.index],
        order=CHANNELS_LAST,
        grid=held.grid,
        options=Options(
            "Pool2D",
            {
                "padding": 1,
                "strideH": steps[0],
                "strideW": steps[1],
                "filterHeight": kernel[0],
                "filterWidth": kernel[1],
            },
        ),
    )


def padded_lowest(writer: Writer, held: Held, around: list[tuple[int, int]]) -> Held:
    """Put around a feature map what no maximum chooses."""
    if all(after <= 0 for pair in around for after in pair):
        return held
    sides = [(before, max(after, 0)) for before, after in around]
    if held.grid is not None and held.grid.zero_point == _LOWEST:
        return padded(writer, held, sides)
    lowest = writer.constant("lowest", torch_full(_LOWEST if held.grid is not None else float("-inf")), held.grid)
    return padded(writer, held, sides, lowest.index)


def torch_full(value: float) -> Any:
    """One number as a tensor of one extent."""
    import torch

    return torch.tensor([value])


def padded(writer: Writer, held: Held, sides: list[tuple[int, int]], filling: int | None = None) -> Held:
    """Put zeros, or the constant `filling`, around a feature map with its channels last."""
    if all(extent == 0 for pair in sides for extent in pair):
        return held
    (top, bottom), (left, right) = sides
    amounts = writer.numbers("padding", [[0, 0], [top, bottom], [left, right], [0, 0]])
    count, channels, height, width = held.shape
    larger = replace(held, shape=(count, channels, height + top + bottom, width + left + right))
    if filling is None:
        return writer.appended("padded", "PAD", [held.index, amounts], larger, Options("Pad"))
    return writer.appended("padded", "PADV2", [held.index, amounts, filling], larger, Options("PadV2"))


def _source(node: fx.Node) -> fx.Node:
    source: Any = node.args[0]
    return source


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
    "aten.max_pool2d.default": _largest,
    CONCATENATE: _concatenate,
}
