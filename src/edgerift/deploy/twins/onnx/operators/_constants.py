"""Operators that make constants, of what is stored or of the extents of another tensor."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Levels, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode

_MOST_POSITIONS: Final = 2**20


@OPERATORS.named("Shape")
def _shape(builder: Builder, node: OnnxNode) -> Value:
    value = builder.value(node, 0)
    start, end = int(node.attributes.get("start", 0)), node.attributes.get("end")
    inner = value.node if isinstance(value, Levels) else value
    result: Value = builder.call(shape_of, inner, start, None if end is None else int(end))
    return result


def shape_of(value: Tensor, start: int, end: int | None) -> Tensor:
    """The extents of a tensor, as a tensor."""
    return torch.tensor(list(value.shape)[start:end], dtype=torch.int64)


@OPERATORS.named("Constant")
def _constant(builder: Builder, node: OnnxNode) -> Value:
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            given = node.attributes[name]
            kind = torch.float32 if "float" in name else torch.int64
            return given if isinstance(given, Tensor) else torch.tensor(given, dtype=kind)
    raise UntranslatedError(f"{node} holds no tensor of numbers")


@OPERATORS.named("ConstantOfShape")
def _constant_of_shape(builder: Builder, node: OnnxNode) -> Value:
    value = node.attributes.get("value", torch.zeros(1))
    result: Value = builder.call(filled, value, builder.real(node, 0))
    return result


def filled(value: Tensor, shape: Tensor) -> Tensor:
    """Repeat one number over a shape, which takes no memory."""
    return value.reshape([]).expand([int(extent) for extent in shape.tolist()])


@OPERATORS.named("Range")
def _range(builder: Builder, node: OnnxNode) -> Value:
    result: Value = builder.call(counted, *(builder.real(node, index) for index in range(3)))
    return result


def counted(start: Tensor, end: Tensor, step: Tensor) -> Tensor:
    """Count from a number up to another by steps."""
    first, last, by = start.item(), end.item(), step.item()
    if by == 0 or (last - first) / by > _MOST_POSITIONS:
        raise UntranslatedError(f"the model counts from {first} to {last} by {by}, which is too many numbers")
    return torch.arange(first, last, by, dtype=start.dtype)


@OPERATORS.named("Size")
def _size(builder: Builder, node: OnnxNode) -> Value:
    value = builder.value(node, 0)
    result: Value = builder.call(size_of, value.node if isinstance(value, Levels) else value)
    return result


def size_of(value: Tensor) -> Tensor:
    """The number of elements, as a tensor."""
    return torch.tensor(value.numel(), dtype=torch.int64)
