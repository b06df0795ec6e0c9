"""Operators that only move, copy or choose values; what is on a grid before them is on the same grid after them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Levels, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode

_MODES: Final = ("constant", "reflect", "edge", "wrap")


def moved(builder: Builder, value: Value, function: Callable[..., Any], *arguments: Any) -> Value:
    """Append a move of a value, which keeps its grid where it has one."""
    if isinstance(value, Levels):
        return replace(value, node=builder.call(function, value.node, *arguments))
    result: Value = builder.call(function, value, *arguments)
    return result


@OPERATORS.named("Identity")
@OPERATORS.named("Dropout")
def _identity(builder: Builder, node: OnnxNode) -> Value | tuple[Value, ...]:
    return builder.value(node, 0)


@OPERATORS.named("Flatten")
def _flatten(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), flatten, int(node.attributes.get("axis", 1)))


def flatten(value: Tensor, axis: int) -> Tensor:
    """Bring a tensor into two dimensions, cut before an axis."""
    axis = axis % value.dim() if axis < 0 else axis
    rows = 1
    for extent in value.shape[:axis]:
        rows *= extent
    return value.reshape(rows, -1)


@OPERATORS.named("Reshape")
def _reshape(builder: Builder, node: OnnxNode) -> Value:
    keeps_zero = bool(node.attributes.get("allowzero", 0))
    return moved(builder, builder.value(node, 0), reshape, builder.real(node, 1), keeps_zero)


def reshape(value: Tensor, shape: Tensor, keeps_zero: bool) -> Tensor:
    """Reshape; an extent of 0 is that of the input, unless it is meant as it is."""
    extents = [int(extent) for extent in shape.tolist()]
    if not keeps_zero:
        extents = [value.shape[index] if extent == 0 else extent for index, extent in enumerate(extents)]
    return value.reshape(extents)


@OPERATORS.named("Transpose")
def _transpose(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), transpose, node.ints("perm", ()))


def transpose(value: Tensor, order: tuple[int, ...]) -> Tensor:
    """Put the dimensions into another order; by default the reverse one."""
    return value.permute(order or tuple(reversed(range(value.dim()))))


def axes_of(builder: Builder, node: OnnxNode, index: int = 1) -> tuple[int, ...] | None:
    """Read axes, which are an attribute in older opsets and an input in newer ones; None where they are left out."""
    if node.has(index):
        return tuple(int(axis) for axis in builder.constant(node, index).flatten().tolist())
    return node.ints("axes", ()) if "axes" in node.attributes else None


@OPERATORS.named("Squeeze")
def _squeeze(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), squeeze, axes_of(builder, node))


def squeeze(value: Tensor, axes: tuple[int, ...] | None) -> Tensor:
    """Drop dimensions of extent 1: those named, or all."""
    return value.squeeze() if axes is None else value.squeeze(axes)


@OPERATORS.named("Unsqueeze")
def _unsqueeze(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), unsqueeze, axes_of(builder, node) or ())


def unsqueeze(value: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Insert dimensions of extent 1 at positions of the result."""
    rank = value.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        value = value.unsqueeze(axis)
    return value


@OPERATORS.named("Concat")
def _concatenate(builder: Builder, node: OnnxNode) -> Value:
    values = [builder.value(node, index) for index in range(len(node.inputs))]
    grids = [value for value in values if isinstance(value, Levels)]
    axis = int(node.attributes["axis"])
    if not grids:
        result: Value = builder.call(torch.cat, values, axis)
        return result
    levels = [builder.levels(node, index, grids[0].zero) for index in range(len(values))]
    return replace(grids[0], node=builder.call(torch.cat, levels, axis))


@OPERATORS.named("Slice")
def _slice(builder: Builder, node: OnnxNode) -> Value:
    if not node.has(1):  # Before opset 10.
        ends = [torch.tensor(node.ints(name, ())) for name in ("starts", "ends")]
        return moved(builder, builder.value(node, 0), sliced, *ends, axes_of(builder, node), None)
    given = [builder.real(node, index) for index in (1, 2)]
    axes = _whole(builder.constant(node, 3)) if node.has(3) else None
    steps = _whole(builder.constant(node, 4)) if node.has(4) else None
    return moved(builder, builder.value(node, 0), sliced, *given, axes, steps)


def _whole(numbers: Tensor | Sequence[int]) -> tuple[int, ...]:
    given = numbers.flatten().tolist() if isinstance(numbers, Tensor) else numbers
    return tuple(int(number) for number in given)


def sliced(
    value: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Sequence[int] | None,
    steps: Sequence[int] | None,
) -> Tensor:
    """Cut a range out of some dimensions, as Python does; a negative step turns the order round."""
    first, last = _whole(starts), _whole(ends)
    axes, steps = axes or range(len(first)), steps or (1,) * len(first)
    for start, end, axis, step in zip(first, last, axes, steps, strict=True):
        extent = value.shape[axis]
        # Backwards past the first one means up to it; Python would count again from the end.
        kept = range(extent)[start : None if step < 0 and end < -extent else end : step]
        whole = torch.tensor(list(kept), dtype=torch.long, device=value.device)
        value = value.narrow(axis, kept.start, len(kept)) if step == 1 and kept else value.index_select(axis, whole)
    return value


@OPERATORS.named("Split")
def _split(builder: Builder, node: OnnxNode) -> tuple[Value, ...]:
    axis, count = int(node.attributes.get("axis", 0)), len(node.outputs)
    given = _whole(builder.constant(node, 1)) if node.has(1) else node.ints("split", ())
    value = builder.value(node, 0)
    return tuple(moved(builder, value, part_of, index, count, given, axis) for index in range(count))


def part_of(value: Tensor, index: int, count: int, sizes: tuple[int, ...], axis: int) -> Tensor:
    """Cut a dimension into parts and take one: parts of given sizes, or equal ones with a smaller last."""
    parts: tuple[Tensor, ...] = value.split(list(sizes) if sizes else -(-value.shape[axis] // count), axis)
    return parts[index]


@OPERATORS.named("Gather")
def _gather(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), gather, builder.real(node, 1), int(node.attributes.get("axis", 0)))


def gather(value: Tensor, index: Tensor, axis: int) -> Tensor:
    """Choose positions of a dimension; each index becomes the dimensions of the index tensor."""
    axis = axis % value.dim()
    positions = index.long().flatten() % value.shape[axis]
    chosen = value.index_select(axis, positions.to(value.device))
    return chosen.reshape([*value.shape[:axis], *index.shape, *value.shape[axis + 1 :]])


@OPERATORS.named("Expand")
def _expand(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), expand, builder.real(node, 1))


def expand(value: Tensor, shape: Tensor) -> Tensor:
    """Broadcast against a shape."""
    return value.expand(torch.broadcast_shapes(value.shape, tuple(int(extent) for extent in shape.tolist())))


@OPERATORS.named("Pad")
def _pad(builder: Builder, node: OnnxNode) -> Value:
    value, mode = builder.value(node, 0), str(node.attributes.get("mode", "constant"))
    if mode not in _MODES:
        raise UntranslatedError(f"{node} has the mode {mode}; {', '.join(_MODES)} are translated")
    pads = builder.real(node, 1) if node.has(1) else node.ints("pads", ())
    axes = axes_of(builder, node, 3) if node.has(3) else None
    filled = builder.number(node, 2, float(node.attributes.get("value", 0.0)))
    if isinstance(value, Levels):
        filled -= value.zero
    return moved(builder, value, pad, pads, axes, mode, filled)


def pad(
    value: Tensor, amounts: Tensor | Sequence[int], axes: tuple[int, ...] | None, mode: str, filled: float
) -> Tensor:
    """Add values at the ends of dimensions: `amounts` has all beginnings, then all ends."""
    pads = _whole(amounts)
    named = range(value.dim()) if axes is None else [axis % value.dim() for axis in axes]
    ends = {axis: (pads[index], pads[index + len(named)]) for index, axis in enumerate(named)}
    ordered = [amount for axis in reversed(range(value.dim())) for amount in ends.get(axis, (0, 0))]
    if mode == "constant":
        return F.pad(value, ordered, "constant", filled)
    for axis, (before, after) in ends.items():
        places = _outside(torch.arange(-before, value.shape[axis] + after), value.shape[axis], mode)
        value = value.index_select(axis, places.to(value.device))
    return value


def _outside(places: Tensor, extent: int, mode: str) -> Tensor:
    """Where a dimension is read for places before and behind it."""
    if mode == "wrap":
        return places % extent
    if mode == "edge":
        return places.clamp(0, extent - 1)
    period = max(1, 2 * (extent - 1))
    return torch.minimum(places % period, -places % period)
