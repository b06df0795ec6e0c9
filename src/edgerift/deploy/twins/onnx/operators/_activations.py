"""Activations with settings of their own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode


@OPERATORS.named("PRelu")
def _prelu(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(sloped, builder.real(node, 0), builder.real(node, 1))
    return value


def sloped(value: Tensor, slope: Tensor) -> Tensor:
    """Multiply what is below zero by a slope that broadcasts."""
    return torch.where(value < 0, value * slope, value)


@OPERATORS.named("LeakyRelu")
def _leaky_relu(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(F.leaky_relu, builder.real(node, 0), float(node.attributes.get("alpha", 0.01)))
    return value


@OPERATORS.named("Elu")
def _elu(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(F.elu, builder.real(node, 0), float(node.attributes.get("alpha", 1.0)))
    return value


@OPERATORS.named("HardSigmoid")
def _hard_sigmoid(builder: Builder, node: OnnxNode) -> Value:
    slope, offset = float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))
    value: Value = builder.call(hard_sigmoid, builder.real(node, 0), slope, offset)
    return value


def hard_sigmoid(value: Tensor, slope: float, offset: float) -> Tensor:
    """Compute `clip(slope * value + offset, 0, 1)`."""
    return (value * slope + offset).clamp(0.0, 1.0)


@OPERATORS.named("Gelu")
@OPERATORS.named("com.microsoft.Gelu")
def _gelu(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(gelu, builder.real(node, 0), str(node.attributes.get("approximate", "none")))
    return value


@OPERATORS.named("com.microsoft.BiasGelu")
def _bias_gelu(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(gelu, builder.call(torch.add, *builder.reals(node)), "none")
    return value


@OPERATORS.named("com.microsoft.FastGelu")
def _fast_gelu(builder: Builder, node: OnnxNode) -> Value:
    given = builder.reals(node)
    value: Value = builder.call(gelu, given[0] if len(given) == 1 else builder.call(torch.add, *given), "tanh")
    return value


def gelu(value: Tensor, approximate: str) -> Tensor:
    """Compute GELU, exactly or by its approximation with tanh."""
    return F.gelu(value, approximate=approximate)


@OPERATORS.named("com.microsoft.QuickGelu")
def _quick_gelu(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(quick_gelu, builder.real(node, 0), float(node.attributes.get("alpha", 1.702)))
    return value


@OPERATORS.named("Swish")
def _swish(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(quick_gelu, builder.real(node, 0), float(node.attributes.get("alpha", 1.0)))
    return value


def quick_gelu(value: Tensor, slope: float) -> Tensor:
    """Compute `value * sigmoid(slope * value)`."""
    return value * torch.sigmoid(slope * value)


@OPERATORS.named("Selu")
def _selu(builder: Builder, node: OnnxNode) -> Value:
    slope = float(node.attributes.get("alpha", 1.6732632423543772))
    factor = float(node.attributes.get("gamma", 1.0507009873554805))
    value: Value = builder.call(torch.mul, builder.call(F.elu, builder.real(node, 0), slope), factor)
    return value


@OPERATORS.named("Celu")
def _celu(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(F.celu, builder.real(node, 0), float(node.attributes.get("alpha", 1.0)))
    return value


@OPERATORS.named("ThresholdedRelu")
def _thresholded(builder: Builder, node: OnnxNode) -> Value:
    threshold = float(node.attributes.get("alpha", 1.0))
    value: Value = builder.call(F.threshold, builder.real(node, 0), threshold, 0.0)
    return value
