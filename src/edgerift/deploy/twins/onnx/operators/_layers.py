"""Convolutions and matrix products in float."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins._integer_convolution import Geometry
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Real, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._activations import hard_sigmoid

#: The activations that ONNX Runtime fuses into a layer; the numbers after them are the layer's own.
_ACTIVATIONS: Final[dict[str, Callable[..., Tensor]]] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "LeakyRelu": F.leaky_relu,
    "Clip": torch.clamp,
    "HardSigmoid": hard_sigmoid,
}


@OPERATORS.named("Conv")
@OPERATORS.named("com.microsoft.FusedConv")
def _convolve(builder: Builder, node: OnnxNode) -> Value:
    weight = builder.constant(node, 1)
    inputs, geometry = placed_on(builder, node, builder.real(node, 0), weight)
    bias = builder.real(node, 2) if node.has(2) else None
    result = builder.call(convolve, inputs, weight, bias, geometry)
    if node.has(3):  # What a fused sum adds.
        result = builder.call(torch.add, result, builder.real(node, 3))
    return _activated(builder, node, result)


def convolve(inputs: Tensor, weight: Tensor, bias: Tensor | None, geometry: tuple[Any, ...]) -> Tensor:
    """Convolve with a :class:`Geometry`."""
    return Geometry(*geometry).convolve(inputs, weight, bias)


def placed_on(
    builder: Builder, node: OnnxNode, inputs: Real, weight: Tensor, filled: float = 0.0
) -> tuple[Real, Geometry]:
    """Read where a convolution's kernel is put; pads the inputs where they are not padded alike on both sides."""
    axes = weight.dim() - 2
    kernel = tuple(weight.shape[2:])
    stride, dilation = node.ints("strides", (1,) * axes), node.ints("dilations", (1,) * axes)
    inputs, padding = padded(builder, node, inputs, kernel, filled)
    return inputs, Geometry(stride, padding, dilation, int(node.attributes.get("group", 1)))


def padded(
    builder: Builder, node: OnnxNode, inputs: Real, kernel: tuple[int, ...], filled: float
) -> tuple[Real, tuple[int, ...]]:
    """Read the padding on both sides of each axis; what is not the same on both is added to the inputs."""
    axes, automatic = len(kernel), str(node.attributes.get("auto_pad", "NOTSET"))
    none = (0,) * axes
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        stride, dilation = node.ints("strides", (1,) * axes), node.ints("dilations", (1,) * axes)
        upper = automatic == "SAME_UPPER"
        return builder.call(pad_alike, inputs, kernel, stride, dilation, upper, filled), none
    pads = node.ints("pads", none * 2) if automatic != "VALID" else none * 2
    if pads[:axes] == pads[axes:]:
        return inputs, pads[:axes]
    ends = [amount for axis in reversed(range(axes)) for amount in (pads[axis], pads[axis + axes])]
    return builder.call(F.pad, inputs, ends, "constant", filled), none


def pad_alike(
    inputs: Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    upper: bool,
    filled: float,
) -> Tensor:
    """Pad so that each extent becomes that of the input over the stride, rounded up; an odd rest goes to one end."""
    ends: list[int] = []
    for axis in reversed(range(len(kernel))):
        extent = inputs.shape[axis + 2]
        spanned = (kernel[axis] - 1) * dilation[axis] + 1
        missing = max(0, (-(-extent // stride[axis]) - 1) * stride[axis] + spanned - extent)
        less, more = missing // 2, missing - missing // 2
        ends.extend((less, more) if upper else (more, less))
    return F.pad(inputs, ends, "constant", filled)


@OPERATORS.named("ConvTranspose")
def _convolve_transposed(builder: Builder, node: OnnxNode) -> Value:
    weight = builder.constant(node, 1)
    axes = weight.dim() - 2
    pads = node.ints("pads", (0,) * 2 * axes)
    if node.attributes.get("auto_pad", "NOTSET") != "NOTSET" or "output_shape" in node.attributes:
        raise UntranslatedError(f"{node} chooses its padding by itself")
    if pads[:axes] != pads[axes:]:
        raise UntranslatedError(f"{node} pads both sides by different amounts")
    bias = builder.real(node, 2) if node.has(2) else None
    geometry = (
        node.ints("strides", (1,) * axes),
        pads[:axes],
        node.ints("dilations", (1,) * axes),
        node.ints("output_padding", (0,) * axes),
        int(node.attributes.get("group", 1)),
    )
    value: Value = builder.call(convolve_transposed, builder.real(node, 0), weight, bias, geometry)
    return value


def convolve_transposed(inputs: Tensor, weight: Tensor, bias: Tensor | None, geometry: tuple[Any, ...]) -> Tensor:
    """Convolve the other way round: stride, padding, dilation, extra padding and groups."""
    stride, padding, dilation, extra, groups = geometry
    return torch.convolution(inputs, weight, bias, stride, padding, dilation, True, extra, groups)


@OPERATORS.named("Gemm")
@OPERATORS.named("com.microsoft.FusedGemm")
def _product_and_sum(builder: Builder, node: OnnxNode) -> Value:
    added = builder.real(node, 2) if node.has(2) else None
    settings = (
        float(node.attributes.get("alpha", 1.0)),
        float(node.attributes.get("beta", 1.0)),
        bool(node.attributes.get("transA", 0)),
        bool(node.attributes.get("transB", 0)),
    )
    result = builder.call(product_and_sum, builder.real(node, 0), builder.real(node, 1), added, *settings)
    return _activated(builder, node, result)


def product_and_sum(
    first: Tensor, second: Tensor, added: Tensor | None, scale: float, share: float, turned: bool, turns: bool
) -> Tensor:
    """Compute `scale * first @ second + share * added`, each matrix transposed where that is said."""
    product = (first.T if turned else first) @ (second.T if turns else second)
    product = product if scale == 1.0 else product * scale
    if added is None:
        return product
    return product + (added if share == 1.0 else added * share)


@OPERATORS.named("MatMul")
def _product(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(torch.matmul, builder.real(node, 0), builder.real(node, 1))
    return value


@OPERATORS.named("com.microsoft.FusedMatMul")
def _fused_product(builder: Builder, node: OnnxNode) -> Value:
    if node.attributes.get("transBatchA", 0) or node.attributes.get("transBatchB", 0):
        raise UntranslatedError(f"{node} transposes its batches")
    turned, turns = bool(node.attributes.get("transA", 0)), bool(node.attributes.get("transB", 0))
    scale = float(node.attributes.get("alpha", 1.0))
    value: Value = builder.call(product_of, builder.real(node, 0), builder.real(node, 1), scale, turned, turns)
    return value


def product_of(first: Tensor, second: Tensor, scale: float, turned: bool, turns: bool) -> Tensor:
    """Multiply matrices, transposed where that is said, and scale the product."""
    return ((first.mT if turned else first) @ (second.mT if turns else second)) * scale


def _activated(builder: Builder, node: OnnxNode, result: Real) -> Value:
    """Append the activation that is fused into a layer, if there is one."""
    name = str(node.attributes.get("activation", ""))
    if not name:
        return result
    if name not in _ACTIVATIONS:
        raise UntranslatedError(f"{node} is fused with {name}")
    numbers = node.attributes.get("activation_params")
    if numbers is None:  # A matrix product names them one by one.
        keys = ("activation_alpha", "activation_beta")
        numbers = [node.attributes[key] for key in keys if key in node.attributes]
    value: Value = builder.call(_ACTIVATIONS[name], result, *(float(number) for number in numbers))
    return value
