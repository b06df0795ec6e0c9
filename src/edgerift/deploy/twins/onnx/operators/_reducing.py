"""Sums, means and norms over dimensions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._moving import axes_of


def product(value: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    """Multiply over dimensions."""
    for axis in sorted((axis % value.dim() for axis in axes), reverse=True):
        value = value.prod(axis, keepdim=keepdim)
    return value


def sum_of_sizes(value: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    """Add absolute values over dimensions."""
    return value.abs().sum(axes, keepdim)


def sum_of_squares(value: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    """Add squares over dimensions."""
    return value.square().sum(axes, keepdim)


def length(value: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    """The Euclidean norm over dimensions."""
    return sum_of_squares(value, axes, keepdim).sqrt()


def log_of_sum(value: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
    """The logarithm of a sum over dimensions."""
    return value.sum(axes, keepdim).log()


def _reduced(builder: Builder, node: OnnxNode, function: Callable[..., Tensor]) -> Value:
    axes = axes_of(builder, node)
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        return builder.value(node, 0)
    keeps = bool(node.attributes.get("keepdims", 1))
    result: Value = builder.call(reduce, function, builder.real(node, 0), axes or (), keeps)
    return result


def reduce(function: Callable[..., Tensor], value: Tensor, axes: tuple[int, ...], keeps: bool) -> Tensor:
    """Reduce dimensions by a function; all where none is named."""
    return function(value, axes or tuple(range(value.dim())), keeps)


_FUNCTIONS: Final[dict[str, Callable[..., Tensor]]] = {
    "ReduceMean": torch.mean,
    "ReduceSum": torch.sum,
    "ReduceMax": torch.amax,
    "ReduceMin": torch.amin,
    "ReduceProd": product,
    "ReduceL1": sum_of_sizes,
    "ReduceL2": length,
    "ReduceSumSquare": sum_of_squares,
    "ReduceLogSum": log_of_sum,
    "ReduceLogSumExp": torch.logsumexp,
}

for _name, _function in _FUNCTIONS.items():
    OPERATORS.register(_name, functools.partial(_reduced, function=_function))
