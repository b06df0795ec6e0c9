"""Operators that choose, repeat or rearrange values by a pattern."""

from __future__ import annotations

import torch
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._moving import moved


@OPERATORS.named("DepthToSpace")
def _depth_to_space(builder: Builder, node: OnnxNode) -> Value:
    depth_first = node.attributes.get("mode", "DCR") == "DCR"
    return moved(builder, builder.value(node, 0), depth_to_space, int(node.attributes["blocksize"]), depth_first)


def depth_to_space(value: Tensor, block: int, depth_first: bool) -> Tensor:
    """Spread channels over blocks of space: the outer part of a channel's index chooses the place, or the inner."""
    count, channels, height, width = value.shape
    inner = channels // block**2
    if depth_first:
        parts = value.reshape(count, block, block, inner, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = value.reshape(count, inner, block, block, height, width).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(count, inner, height * block, width * block)


@OPERATORS.named("SpaceToDepth")
def _space_to_depth(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), space_to_depth, int(node.attributes["blocksize"]))


def space_to_depth(value: Tensor, block: int) -> Tensor:
    """Bring blocks of space into channels, those of one place beside each other."""
    count, channels, height, width = value.shape
    parts = value.reshape(count, channels, height // block, block, width // block, block).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(count, channels * block**2, height // block, width // block)


@OPERATORS.named("Tile")
def _tile(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), repeated, builder.real(node, 1))


def repeated(value: Tensor, times: Tensor) -> Tensor:
    """Repeat each dimension so many times."""
    return value.tile([int(number) for number in times.flatten().tolist()])


@OPERATORS.named("GatherElements")
def _gather_elements(builder: Builder, node: OnnxNode) -> Value:
    index, axis = builder.real(node, 1), int(node.attributes.get("axis", 0))
    return moved(builder, builder.value(node, 0), gather_elements, index, axis)


def gather_elements(value: Tensor, index: Tensor, axis: int) -> Tensor:
    """Choose, for each place of the index, a position of one dimension; negative ones count from the end."""
    return value.gather(axis, index.long() % value.shape[axis])


@OPERATORS.named("GatherND")
def _gather_points(builder: Builder, node: OnnxNode) -> Value:
    if node.attributes.get("batch_dims", 0):
        raise UntranslatedError(f"{node} has dimensions of a batch")
    return moved(builder, builder.value(node, 0), gather_points, builder.real(node, 1))


def gather_points(value: Tensor, index: Tensor) -> Tensor:
    """Choose what lies at points, which the last dimension of the index holds."""
    return value[tuple(index.long().unbind(-1))]


@OPERATORS.named("ScatterND")
def _scatter_points(builder: Builder, node: OnnxNode) -> Value:
    if node.attributes.get("reduction", "none") != "none":
        raise UntranslatedError(f"{node} combines what it writes with what is there")
    result: Value = builder.call(scatter_points, *(builder.real(node, index) for index in range(3)))
    return result


def scatter_points(value: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    """Write updates at points, which the last dimension of the index holds."""
    return value.index_put(tuple(index.long().unbind(-1)), updates)


@OPERATORS.named("Trilu")
def _triangle(builder: Builder, node: OnnxNode) -> Value:
    function = torch.triu if node.attributes.get("upper", 1) else torch.tril
    result: Value = builder.call(function, builder.real(node, 0), int(builder.number(node, 1)))
    return result


@OPERATORS.named("CumSum")
def _running_sum(builder: Builder, node: OnnxNode) -> Value:
    turned, shifted = bool(node.attributes.get("reverse", 0)), bool(node.attributes.get("exclusive", 0))
    axis = int(builder.number(node, 1))
    result: Value = builder.call(running_sum, builder.real(node, 0), axis, turned, shifted)
    return result


def running_sum(value: Tensor, axis: int, turned: bool, shifted: bool) -> Tensor:
    """Add up along an axis, from its end where `turned`, without the number at the place itself where `shifted`."""
    ordered = value.flip(axis) if turned else value
    total = ordered.cumsum(axis, dtype=value.dtype) - (ordered if shifted else 0)
    return total.flip(axis) if turned else total


@OPERATORS.named("Einsum")
def _einsum(builder: Builder, node: OnnxNode) -> Value:
    result: Value = builder.call(sum_of_products, str(node.attributes["equation"]), builder.reals(node))
    return result


def sum_of_products(equation: str, values: list[Tensor]) -> Tensor:
    """Sum products over the letters of an equation that its result does not name."""
    return torch.einsum(equation, values)
