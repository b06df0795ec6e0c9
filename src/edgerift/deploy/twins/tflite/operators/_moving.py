"""Operators that only move or choose values; levels stay on their grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError


def moved(builder: Builder, operator: TfliteOperator, function: Callable[..., Any], *arguments: Any) -> Real:
    """Append a move of the first input; raises `UntranslatedError` where it would bring it to another grid."""
    require_same_grid(builder, operator)
    return builder.call(function, builder.value(operator), *arguments)


def require_same_grid(builder: Builder, operator: TfliteOperator, position: int = 0) -> None:
    """Refuse an operator whose result has another grid or number type than an input."""
    given, result = builder.tensor(operator, position), builder.result(operator)
    if given.dtype != result.dtype or given.grid != result.grid:
        raise UntranslatedError(f"{operator} brings '{given.name}' to another grid")


def _require_shape(builder: Builder, operator: TfliteOperator, made: Sequence[int]) -> None:
    """Check that a file's own word on the result is what the runtime computes; the batch is free."""
    if tuple(made) != builder.result(operator).shape[1:]:
        raise UntranslatedError(f"{operator} makes {list(made)}, and the file says {builder.result(operator).shape}")


def _reshape(builder: Builder, operator: TfliteOperator) -> Real:
    given, made = builder.tensor(operator).shape, builder.result(operator).shape
    same = bool(given and made) and given[0] == made[0]
    if not same or math.prod(given) != math.prod(made):
        raise UntranslatedError(f"{operator} makes {list(made)} of {list(given)}, which mixes the images of a batch")
    return moved(builder, operator, reshape, list(made[1:]))


for _name in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
    OPERATORS.register(_name, _reshape)


def reshape(value: Tensor, extents: list[int]) -> Tensor:
    """Give what follows the batch other extents."""
    return value.reshape(len(value), *extents)


@OPERATORS.named("TRANSPOSE")
def _transpose(builder: Builder, operator: TfliteOperator) -> Real:
    given, order = builder.tensor(operator).shape, builder.whole(operator, 1)
    if sorted(order) != list(range(len(given))) or order[0] != 0:
        raise UntranslatedError(f"{operator} puts {len(given)} dimensions into the order {list(order)}")
    _require_shape(builder, operator, [given[axis] for axis in order[1:]])
    return moved(builder, operator, torch.permute, order)


@OPERATORS.named("CONCATENATION")
def _concatenate(builder: Builder, operator: TfliteOperator) -> Real:
    shapes = [builder.tensor(operator, place).shape for place in range(len(operator.inputs))]
    axis = int(operator.options.get("Axis", 0)) % len(shapes[0])
    if axis == 0:
        raise UntranslatedError(f"{operator} joins along the batch")
    for place in range(len(shapes)):
        require_same_grid(builder, operator, place)
    made = list(shapes[0][1:])
    made[axis - 1] = sum(shape[axis] for shape in shapes)
    _require_shape(builder, operator, made)
    if operator.options.get("FusedActivationFunction", 0):
        raise UntranslatedError(f"{operator} is fused with an activation")
    values = [builder.value(operator, place) for place in range(len(shapes))]
    return builder.call(concatenate, values, axis)


def concatenate(values: list[Tensor], axis: int) -> Tensor:
    """Join along an axis; a constant is repeated over the batch."""
    count = max(len(value) for value in values)
    return torch.cat([value.expand(count, *value.shape[1:]) for value in values], axis)


@OPERATORS.named("PAD")
@OPERATORS.named("PADV2")
def _pad(builder: Builder, operator: TfliteOperator) -> Real:
    filled = 0.0
    if operator.has(2):
        value = builder.value(operator, 2)
        require_same_grid(builder, operator, 2)
        if not isinstance(value, Tensor) or value.numel() != 1:
            raise UntranslatedError(f"{operator} fills with other than one constant")
        filled = float(value)
    return moved(builder, operator, F.pad, _ends(builder, operator), "constant", filled)


_MIRRORS: Final = ("reflect", "symmetric")


@OPERATORS.named("MIRROR_PAD")
def _mirror(builder: Builder, operator: TfliteOperator) -> Real:
    if _MIRRORS[int(operator.options.get("Mode", 0))] != "reflect":
        raise UntranslatedError(f"{operator} repeats the border")
    given = builder.tensor(operator).shape
    ends = _ends(builder, operator)
    if len(given) != 4 or any(ends[:2]):
        raise UntranslatedError(f"{operator} pads other than height and width")
    return moved(builder, operator, reflect, ends[2:])


def reflect(value: Tensor, ends: list[int]) -> Tensor:
    """Reflect height and width of [N,H,W,C] at their borders."""
    return F.pad(value.permute(0, 3, 1, 2), ends, "reflect").permute(0, 2, 3, 1)


def _ends(builder: Builder, operator: TfliteOperator) -> list[int]:
    """Read how much is added at both ends of all dimensions, the last one first."""
    given, amounts = builder.tensor(operator).shape, builder.whole(operator, 1)
    pairs = [amounts[place : place + 2] for place in range(0, len(amounts), 2)]
    if len(pairs) != len(given) or min(amounts) < 0 or any(pairs[0]):
        raise UntranslatedError(f"{operator} pads {list(given)} by {list(amounts)}")
    _require_shape(builder, operator, [extent + sum(pair) for extent, pair in zip(given, pairs, strict=True)][1:])
    return [amount for pair in reversed(pairs[1:]) for amount in pair]


@OPERATORS.named("SLICE")
def _slice(builder: Builder, operator: TfliteOperator) -> Real:
    given, begins, sizes = builder.tensor(operator).shape, builder.whole(operator, 1), builder.whole(operator, 2)
    ends = [extent if size == -1 else begin + size for extent, begin, size in zip(given, begins, sizes, strict=True)]
    return _sliced(builder, operator, list(zip(begins, ends, [1] * len(given), strict=True)))


@OPERATORS.named("STRIDED_SLICE")
def _strided_slice(builder: Builder, operator: TfliteOperator) -> Real:
    options, given = operator.options, builder.tensor(operator).shape
    value = builder.value(operator)
    if isinstance(value, Tensor):
        return _part_of_constant(builder, operator, value)
    if any(options.get(mask, 0) for mask in ("EllipsisMask", "NewAxisMask", "ShrinkAxisMask", "Offset")):
        raise UntranslatedError(f"{operator} drops or adds dimensions")
    begins, ends, steps = (builder.whole(operator, position) for position in (1, 2, 3))
    parts = []
    for axis, (begin, end, step) in enumerate(zip(begins, ends, steps, strict=True)):
        first = None if (int(options.get("BeginMask", 0)) >> axis) & 1 else begin
        last = None if (int(options.get("EndMask", 0)) >> axis) & 1 else end
        if step < 1:
            raise UntranslatedError(f"{operator} walks backwards")
        parts.append(slice(first, last, step).indices(given[axis]))
    return _sliced(builder, operator, parts)


def _part_of_constant(builder: Builder, operator: TfliteOperator, value: Tensor) -> Real:
    """Cut a vector of constants, such as a shape, to a part or to one of its numbers."""
    if value.dim() != 1:
        raise UntranslatedError(f"{operator} cuts a constant of {value.dim()} dimensions")
    (begin,), (end,), (step,) = (builder.whole(operator, position) for position in (1, 2, 3))
    if operator.options.get("ShrinkAxisMask", 0):
        return value[begin]
    masks = [bool(operator.options.get(mask, 0)) for mask in ("BeginMask", "EndMask")]
    return value[None if masks[0] else begin : None if masks[1] else end : step]


def _sliced(builder: Builder, operator: TfliteOperator, parts: list[tuple[int, int, int]]) -> Real:
    given = builder.tensor(operator).shape
    kept = [range(extent)[begin:end:step] for extent, (begin, end, step) in zip(given, parts, strict=False)]
    kept += [range(extent) for extent in given[len(parts) :]]
    if len(kept[0]) != given[0]:
        raise UntranslatedError(f"{operator} chooses among the images of a batch")
    _require_shape(builder, operator, [len(places) for places in kept[1:]])
    return moved(builder, operator, cut, [(places.start, places.stop, places.step) for places in kept[1:]])


def cut(value: Tensor, parts: Any) -> Tensor:
    """Keep a part of each dimension behind the batch."""
    chosen: Tensor = value[(slice(None), *(slice(*part) for part in parts))]
    return chosen


@OPERATORS.named("SPLIT")
def _split(builder: Builder, operator: TfliteOperator) -> tuple[Real, ...]:
    """The axis comes first, then what is split."""
    given, count = builder.tensor(operator, 1).shape, len(operator.outputs)
    axis = builder.whole(operator, 0)[0] % len(given)
    require_same_grid(builder, operator, 1)
    if axis == 0 or given[axis] % count:
        raise UntranslatedError(f"{operator} splits {list(given)} along axis {axis}")
    value = builder.value(operator, 1)
    size = given[axis] // count
    return tuple(builder.call(torch.narrow, value, axis, place * size, size) for place in range(count))
