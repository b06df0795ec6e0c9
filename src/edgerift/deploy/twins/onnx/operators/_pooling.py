"""Pooling, on real values; a maximum also on levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Levels, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._layers import padded
from edgerift.deploy.twins.onnx.operators._moving import moved

_MAXIMA: Final[dict[int, Callable[..., Tensor]]] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEANS: Final[dict[int, Callable[..., Tensor]]] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@OPERATORS.named("MaxPool")
def _maximum(builder: Builder, node: OnnxNode) -> Value:
    value = builder.value(node, 0)
    kernel = node.ints("kernel_shape", ())
    axes = len(kernel)
    if len(node.outputs) > 1 and node.outputs[1]:
        raise UntranslatedError(f"{node} also answers where its maxima are")
    inner = value.node if isinstance(value, Levels) else value
    inner, padding = padded(builder, node, inner, kernel, float("-inf"))
    whole = Levels(inner, value.zero, value.low, value.high) if isinstance(value, Levels) else inner  # type: ignore[arg-type]
    settings = (
        kernel,
        node.ints("strides", (1,) * axes),
        padding,
        node.ints("dilations", (1,) * axes),
        bool(node.attributes.get("ceil_mode", 0)),
    )
    return moved(builder, whole, largest, *settings)


def largest(
    value: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    rounds_up: bool,
) -> Tensor:
    """Pool by the maximum; padding counts as minus infinity."""
    if any(2 * amount > extent for amount, extent in zip(padding, kernel, strict=True)):
        ends = [amount for amount in reversed(padding) for _ in range(2)]
        value, padding = F.pad(value, ends, "constant", float("-inf")), (0,) * len(kernel)
    return _MAXIMA[len(kernel)](value, kernel, stride, padding, dilation, ceil_mode=rounds_up)


def window_of(builder: Builder, node: OnnxNode, value: Any) -> tuple[Any, tuple[Any, ...]]:
    """Read an average's window: the padded input, and PyTorch's arguments."""
    kernel = node.ints("kernel_shape", ())
    axes = len(kernel)
    counts = bool(node.attributes.get("count_include_pad", 0))
    if any(step != 1 for step in node.ints("dilations", (1,) * axes)):
        raise UntranslatedError(f"{node} averages with a dilation")
    before = value
    value, padding = padded(builder, node, value, kernel, 0.0)
    if value is not before and not counts:
        raise UntranslatedError(f"{node} averages with a padding that differs between both sides")
    rounds_up = bool(node.attributes.get("ceil_mode", 0))
    return value, (list(kernel), list(node.ints("strides", (1,) * axes)), list(padding), rounds_up, counts)


@OPERATORS.named("AveragePool")
def _average(builder: Builder, node: OnnxNode) -> Value:
    value, window = window_of(builder, node, builder.real(node, 0))
    result: Value = builder.call(average, value, window)
    return result


def average(value: Tensor, window: tuple[Any, ...]) -> Tensor:
    """Pool by the mean."""
    return _MEANS[len(window[0])](value, *window)


@OPERATORS.named("GlobalAveragePool")
def _global_average(builder: Builder, node: OnnxNode) -> Value:
    result: Value = builder.call(global_average, builder.real(node, 0))
    return result


def global_average(value: Tensor) -> Tensor:
    """Average over all that follows the channels."""
    return value.mean(tuple(range(2, value.dim())), keepdim=True)


@OPERATORS.named("GlobalMaxPool")
def _global_maximum(builder: Builder, node: OnnxNode) -> Value:
    return moved(builder, builder.value(node, 0), global_maximum)


def global_maximum(value: Tensor) -> Tensor:
    """Take the maximum of all that follows the channels."""
    return value.amax(tuple(range(2, value.dim())), keepdim=True)
