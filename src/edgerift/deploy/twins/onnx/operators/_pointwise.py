"""Operators that compute each number from the numbers at its own position."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins._integer_twin import rounded_root
from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Levels, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode

_PLAIN: Final[dict[str, Callable[..., Tensor]]] = {
    "Relu": torch.relu,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Sqrt": rounded_root,
    "Exp": torch.exp,
    "Log": torch.log,
    "Neg": torch.neg,
    "Abs": torch.abs,
    "Reciprocal": torch.reciprocal,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Erf": torch.erf,
    "Sign": torch.sign,
    "Round": torch.round,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Softsign": F.softsign,
    "IsNaN": torch.isnan,
    "Softplus": F.softplus,
    "Mish": F.mish,
    "HardSwish": F.hardswish,
    "Not": torch.logical_not,
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Pow": torch.pow,
    "Equal": torch.eq,
    "Less": torch.lt,
    "Greater": torch.gt,
    "LessOrEqual": torch.le,
    "GreaterOrEqual": torch.ge,
    "And": torch.logical_and,
    "Or": torch.logical_or,
    "Xor": torch.logical_xor,
    "Where": torch.where,
}


def _plain(builder: Builder, node: OnnxNode, function: Callable[..., Tensor]) -> Value:
    value: Value = builder.call(function, *builder.reals(node))
    return value


for _name, _function in _PLAIN.items():
    OPERATORS.register(_name, functools.partial(_plain, function=_function))


@OPERATORS.named("Div")
def _divide(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(divide, *builder.reals(node))
    return value


def divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide; whole numbers towards zero."""
    return torch.div(numerator, denominator, rounding_mode=None if numerator.is_floating_point() else "trunc")


@OPERATORS.named("Clip")
def _clip(builder: Builder, node: OnnxNode) -> Value:
    value, bounds = builder.value(node, 0), _bounds(builder, node)
    if isinstance(value, Levels):
        shifted = [None if bound is None else bound - value.zero for bound in bounds]
        return replace(value, node=builder.call(torch.clamp, value.node, *shifted))
    result: Value = builder.call(torch.clamp, value, *bounds)
    return result


def _bounds(builder: Builder, node: OnnxNode) -> list[float | None]:
    """The two bounds of a clip: inputs, or attributes before opset 11."""
    bounds: list[float | None] = []
    for index, attribute in ((1, "min"), (2, "max")):
        given = builder.number(node, index) if node.has(index) else node.attributes.get(attribute)
        bounds.append(None if given is None else float(given))
    return bounds


@OPERATORS.named("Min")
def _minimum(builder: Builder, node: OnnxNode) -> Value:
    value: Value = functools.reduce(functools.partial(builder.call, torch.minimum), builder.reals(node))
    return value


@OPERATORS.named("Max")
def _maximum(builder: Builder, node: OnnxNode) -> Value:
    value: Value = functools.reduce(functools.partial(builder.call, torch.maximum), builder.reals(node))
    return value


@OPERATORS.named("Sum")
def _sum(builder: Builder, node: OnnxNode) -> Value:
    value: Value = functools.reduce(functools.partial(builder.call, torch.add), builder.reals(node))
    return value


@OPERATORS.named("Mean")
def _mean(builder: Builder, node: OnnxNode) -> Value:
    value: Value = builder.call(torch.div, _sum(builder, node), len(node.inputs))
    return value


@OPERATORS.named("Mod")
def _remainder(builder: Builder, node: OnnxNode) -> Value:
    function = torch.fmod if node.attributes.get("fmod", 0) else torch.remainder
    value: Value = builder.call(function, *builder.reals(node))
    return value


@OPERATORS.named("Softmax")
def _softmax(builder: Builder, node: OnnxNode) -> Value:
    return _along(builder, node, torch.softmax)


@OPERATORS.named("LogSoftmax")
def _log_softmax(builder: Builder, node: OnnxNode) -> Value:
    return _along(builder, node, torch.log_softmax)


def _along(builder: Builder, node: OnnxNode, function: Callable[..., Tensor]) -> Value:
    newer = builder.source.opset >= 13
    axis = int(node.attributes.get("axis", -1 if newer else 1))
    value: Value = builder.call(normalise_along, function, builder.real(node, 0), axis, not newer)
    return value


def normalise_along(function: Callable[..., Tensor], value: Tensor, axis: int, flat: bool) -> Tensor:
    """Apply a softmax along an axis; before opset 13 over all that follows it at once."""
    if flat and axis % value.dim() != value.dim() - 1:
        return function(value.flatten(axis), axis).view(value.shape)
    return function(value, axis)


_KINDS: Final = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    16: torch.bfloat16,
}


@OPERATORS.named("Cast")
def _cast(builder: Builder, node: OnnxNode) -> Value:
    value, kind = builder.value(node, 0), _KINDS.get(int(node.attributes.get("to", 0)))
    if kind is None:
        raise UntranslatedError(f"{node} makes a type that has no translation")
    if isinstance(value, Levels):
        if not kind.is_floating_point:
            raise UntranslatedError(f"{node} turns 8-bit integers into other integers")
        value = builder.call(torch.add, value.node, value.zero)
    elif not isinstance(value, Tensor) and kind in (torch.uint8, torch.int8):
        raise UntranslatedError(f"{node} turns real values into 8-bit integers without a scale")
    result: Value = builder.call(cast, value, kind)
    return result


def cast(value: Tensor, kind: torch.dtype) -> Tensor:
    """Turn into another element type."""
    return value.to(kind)
