"""Normalisations in float."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode


@OPERATORS.named("BatchNormalization")
def _batch_normalisation(builder: Builder, node: OnnxNode) -> Value:
    if node.attributes.get("training_mode", 0):
        raise UntranslatedError(f"{node} is in training mode")
    scale, bias, mean, variance = (builder.constant(node, index) for index in range(1, 5))
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    value: Value = builder.call(F.batch_norm, builder.real(node, 0), mean, variance, scale, bias, False, 0.0, epsilon)
    return value


@OPERATORS.named("LayerNormalization")
def _layer_normalisation(builder: Builder, node: OnnxNode) -> Value:
    return _over_layers(builder, node, centred=True)


@OPERATORS.named("RMSNormalization")
@OPERATORS.named("SimplifiedLayerNormalization")
def _root_mean_square(builder: Builder, node: OnnxNode) -> Value:
    return _over_layers(builder, node, centred=False)


def _over_layers(builder: Builder, node: OnnxNode, centred: bool) -> Value:
    value, scale = builder.real(node, 0), builder.real(node, 1)
    bias = builder.real(node, 2) if node.has(2) else None
    axis, epsilon = int(node.attributes.get("axis", -1)), float(node.attributes.get("epsilon", 1e-5))
    result: Value = builder.call(layer_normalise, value, scale, bias, axis, epsilon, centred)
    return result


def layer_normalise(
    value: Tensor, scale: Tensor, bias: Tensor | None, axis: int, epsilon: float, centred: bool
) -> Tensor:
    """Normalise over an axis and all behind it, by the mean too where `centred`, then scale and shift."""
    axes = list(range(axis % value.dim(), value.dim()))
    value = value - value.mean(axes, keepdim=True) if centred else value
    normal = value / (value.square().mean(axes, keepdim=True) + epsilon).sqrt() * scale
    return normal if bias is None else normal + bias


@OPERATORS.named("com.microsoft.SkipLayerNormalization")
def _sum_and_layer(builder: Builder, node: OnnxNode) -> Value:
    total = builder.call(torch.add, builder.real(node, 0), builder.real(node, 1))
    if node.has(4):
        total = builder.call(torch.add, total, builder.real(node, 4))
    bias = builder.real(node, 3) if node.has(3) else None
    epsilon = float(node.attributes.get("epsilon", 1e-12))
    result: Value = builder.call(layer_normalise, total, builder.real(node, 2), bias, -1, epsilon, True)
    if len(node.outputs) > 3:
        builder.values[node.outputs[3]] = total
    return result


@OPERATORS.named("InstanceNormalization")
def _instance_normalisation(builder: Builder, node: OnnxNode) -> Value:
    scale, bias = builder.constant(node, 1), builder.constant(node, 2)
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    value: Value = builder.call(F.instance_norm, builder.real(node, 0), None, None, scale, bias, True, 0.0, epsilon)
    return value


@OPERATORS.named("GroupNormalization")
def _group_normalisation(builder: Builder, node: OnnxNode) -> Value:
    groups, epsilon = int(node.attributes["num_groups"]), float(node.attributes.get("epsilon", 1e-5))
    scale, bias = (builder.constant(node, index) for index in (1, 2))
    for_groups = builder.source.opset < 21  # One scale for each group and not for each channel.
    result: Value = builder.call(group_normalise, builder.real(node, 0), groups, scale, bias, epsilon, for_groups)
    return result


def group_normalise(
    value: Tensor, groups: int, scale: Tensor, bias: Tensor, epsilon: float, for_groups: bool
) -> Tensor:
    """Normalise groups of channels, then scale and shift each channel, or each group."""
    repeated = value.shape[1] // groups if for_groups else 1
    scale, bias = (of.repeat_interleave(repeated) for of in (scale, bias))
    return F.group_norm(value, groups, scale, bias, epsilon)


@OPERATORS.named("LRN")
def _local_response(builder: Builder, node: OnnxNode) -> Value:
    settings = (
        int(node.attributes["size"]),
        float(node.attributes.get("alpha", 1e-4)),
        float(node.attributes.get("beta", 0.75)),
        float(node.attributes.get("bias", 1.0)),
    )
    result: Value = builder.call(normalise_locally, builder.real(node, 0), *settings)
    return result


def normalise_locally(value: Tensor, size: int, scale: float, power: float, offset: float) -> Tensor:
    """Divide each channel by a power of the mean square of `size` channels around it."""
    ends = [0, 0] * (value.dim() - 2) + [(size - 1) // 2, size // 2]
    squares = F.pad(value.square(), ends).unfold(1, size, 1).sum(-1)
    return value / (offset + scale / size * squares) ** power


@OPERATORS.named("LpNormalization")
def _unit_length(builder: Builder, node: OnnxNode) -> Value:
    axis, power = int(node.attributes.get("axis", -1)), int(node.attributes.get("p", 2))
    result: Value = builder.call(bring_to_unit_length, builder.real(node, 0), power, axis)
    return result


def bring_to_unit_length(value: Tensor, power: int, axis: int) -> Tensor:
    """Divide by the norm along an axis; where that is 0 the result is 0."""
    norm = value.norm(power, axis, keepdim=True)
    return torch.where(norm == 0, 0.0, value / norm)
