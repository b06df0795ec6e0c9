"""The operators that a program may hold, and how their names turn into PyTorch's own.

A program file names operators; it never carries code. Only the names listed here are resolved, all of them pure
functions of their arguments, so that an untrusted file cannot open, write or run anything.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import torch

from edgerift.deploy.program._quiet import quiet
from edgerift.errors import ProgramError, unknown_name

QUANTIZE = "quantized_decomposed.quantize_per_tensor.default"
DEQUANTIZE = "quantized_decomposed.dequantize_per_tensor.default"
DEQUANTIZE_CHANNELS = "quantized_decomposed.dequantize_per_channel.default"

CONVOLUTIONS = frozenset({"aten.conv1d.default", "aten.conv2d.default"})
WEIGHTED = CONVOLUTIONS | {"aten.linear.default"}
RELU = "aten.relu.default"
HARDTANH = "aten.hardtanh.default"
ADD = "aten.add.Tensor"
SUBTRACT = "aten.sub.Tensor"
MULTIPLY = "aten.mul.Tensor"
CONCATENATE = "aten.cat.default"
ADAPTIVE_AVERAGE = "aten.adaptive_avg_pool2d.default"
MEAN = "aten.mean.dim"
AVERAGE = "aten.avg_pool2d.default"
ADAPTIVE_MAXIMUM = "aten.adaptive_max_pool2d.default"

#: Operators that only move, copy or choose values: what is on a grid before them is on the same grid after them.
MOVING = frozenset(
    {
        "aten.flatten.using_ints",
        "aten.view.default",
        "aten.reshape.default",
        "aten.permute.default",
        "aten.transpose.int",
        "aten.squeeze.dim",
        "aten.squeeze.dims",
        "aten.unsqueeze.default",
        "aten.contiguous.default",
        "aten.clone.default",
        "aten.slice.Tensor",
        "aten.select.int",
        "aten.chunk.default",
        "aten.split.Tensor",
        "aten.split_with_sizes.default",
        "operator.getitem",
        "aten.max_pool2d.default",
        ADAPTIVE_MAXIMUM,
    }
)

_ARITHMETIC = frozenset(
    {
        *(f"aten.{name}.{overload}" for name in ("sub", "mul", "div") for overload in ("Tensor", "Scalar")),
        "aten.add.Scalar",
        "aten.rsub.Scalar",
        "aten.neg.default",
        "aten.abs.default",
        "aten.exp.default",
        "aten.sqrt.default",
        "aten.rsqrt.default",
        "aten.pow.Tensor_Scalar",
        "aten.maximum.default",
        "aten.minimum.default",
        "aten.clamp.default",
        "aten.clamp_min.default",
        "aten.matmul.default",
        "aten.mm.default",
        "aten.bmm.default",
        "aten.addmm.default",
        "aten.sum.dim_IntList",
        "aten.amax.default",
        "aten.expand.default",
        "aten.constant_pad_nd.default",
        "aten.pad.default",
        "aten.stack.default",
        "aten.to.dtype",
        "aten._to_copy.default",
        "aten.lift_fresh_copy.default",
        "aten.detach.default",
        "aten.sym_size.int",
    }
)

_NETWORK = frozenset(
    {
        RELU,
        HARDTANH,
        ADD,
        CONCATENATE,
        ADAPTIVE_AVERAGE,
        MEAN,
        AVERAGE,
        *WEIGHTED,
        "aten.conv_transpose2d.input",
        "aten.avg_pool1d.default",
        "aten.batch_norm.default",
        "aten._native_batch_norm_legit_no_training.default",
        "aten.layer_norm.default",
        "aten.group_norm.default",
        "aten.gelu.default",
        "aten.elu.default",
        "aten.leaky_relu.default",
        "aten.prelu.default",
        "aten.sigmoid.default",
        "aten.silu.default",
        "aten.tanh.default",
        "aten.hardsigmoid.default",
        "aten.hardswish.default",
        "aten.softmax.int",
        "aten._softmax.default",
        "aten.scaled_dot_product_attention.default",
        "aten.upsample_nearest2d.vec",
        "aten.upsample_bilinear2d.vec",
        "aten.pixel_shuffle.default",
        "aten.channel_shuffle.default",
        "aten.dropout.default",
    }
)

_SIZE_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "operator.getitem": operator.getitem,
    "operator.add": operator.add,
    "operator.sub": operator.sub,
    "operator.mul": operator.mul,
    "operator.floordiv": operator.floordiv,
}

#: Operators beside layers that multiply and accumulate; no target's quantizer has a rule for them.
_FLOAT_MULTIPLYING = frozenset(
    {
        "aten.matmul.default",
        "aten.mm.default",
        "aten.bmm.default",
        "aten.addmm.default",
        "aten.conv_transpose2d.input",
        "aten.scaled_dot_product_attention.default",
    }
)

ALLOWED = (
    frozenset({QUANTIZE, DEQUANTIZE, DEQUANTIZE_CHANNELS})
    | MOVING
    | _ARITHMETIC
    | _NETWORK
    | frozenset(_SIZE_ARITHMETIC)
)


def operator_name(target: Callable[..., Any] | str) -> str:
    """Name a graph node's target as program files name it.

    >>> operator_name(torch.ops.aten.relu.default)
    'aten.relu.default'
    """
    for name, function in _SIZE_ARITHMETIC.items():
        if target is function:
            return name
    return str(target)


def is_allowed(name: str) -> bool:
    """Return whether a program may hold an operator."""
    return name in ALLOWED


def is_moving(name: str) -> bool:
    """Return whether an operator only moves, copies or chooses values, so that they stay on their grid."""
    return name in MOVING


def multiplies(name: str) -> bool:
    """Return whether an operator's cost is multiply-accumulates: convolutions, linear layers, matrix products."""
    return name in WEIGHTED or name in _FLOAT_MULTIPLYING


def resolve(name: str) -> Callable[..., Any]:
    """Turn an operator's name into the callable; a name outside the list raises :class:`ProgramError`."""
    if name not in ALLOWED:
        raise ProgramError(f"a program may not hold this operator: {unknown_name('operator', name, ALLOWED)[:400]}")
    if name in _SIZE_ARITHMETIC:
        return _SIZE_ARITHMETIC[name]
    if name.startswith("quantized_decomposed."):
        _register_quantized_operators()
    function: Any = torch.ops
    for part in name.split("."):
        function = getattr(function, part)
    resolved: Callable[..., Any] = function
    return resolved


def keyword_names(function: Callable[..., Any]) -> frozenset[str]:
    """Name the arguments that a resolved operator takes by name; none for arithmetic on sizes.

    >>> sorted(keyword_names(torch.ops.aten.add.Tensor))
    ['alpha', 'other', 'self']
    """
    schema = getattr(function, "_schema", None)
    return frozenset() if schema is None else frozenset(argument.name for argument in schema.arguments)


@functools.cache
def _register_quantized_operators() -> None:
    # Once: every change of a logger's level makes Python forget what each logger of the process lets through.
    with quiet():
        import torchao.quantization.pt2e  # noqa: F401
