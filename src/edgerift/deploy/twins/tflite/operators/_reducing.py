"""Sums and extremes over dimensions, and products of matrices, in float."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError


def total(value: Tensor, axes: tuple[int, ...], keeps: bool) -> Tensor:
    """Add over dimensions."""
    return value.sum(axes, keeps)


_FUNCTIONS: Final[dict[str, Callable[..., Tensor]]] = {
    "SUM": total,
    "REDUCE_MAX": torch.amax,
    "REDUCE_MIN": torch.amin,
}


def _reduced(builder: Builder, operator: TfliteOperator, function: Callable[..., Tensor]) -> Real:
    _require_float(builder, operator)
    given = builder.tensor(operator).shape
    axes = tuple(sorted({axis % len(given) for axis in builder.whole(operator, 1)}))
    if not axes or 0 in axes:
        raise UntranslatedError(f"{operator} reduces axes {list(axes)}; those behind the batch are translated")
    return builder.call(function, builder.value(operator), axes, bool(operator.options.get("KeepDims", False)))


for _name, _function in _FUNCTIONS.items():
    OPERATORS.register(_name, functools.partial(_reduced, function=_function))


@OPERATORS.named("BATCH_MATMUL")
def _product(builder: Builder, operator: TfliteOperator) -> Real:
    _require_float(builder, operator)
    shapes = [list(builder.tensor(operator, place).shape) for place in (0, 1)]
    turned = [bool(operator.options.get(name, False)) for name in ("AdjX", "AdjY")]
    rows, columns = (
        [*shape[:-2], shape[-1], shape[-2]] if turn else shape for shape, turn in zip(shapes, turned, strict=True)
    )
    made = [*torch.broadcast_shapes(rows[:-2], columns[:-2]), rows[-2], columns[-1]]
    if tuple(made) != builder.result(operator).shape or math.prod(made) == 0:
        raise UntranslatedError(f"{operator} makes {made}, and the file says {builder.result(operator).shape}")
    return builder.call(product, builder.value(operator), builder.value(operator, 1), *turned)


def product(first: Tensor, second: Tensor, turned: bool, turns: bool) -> Tensor:
    """Multiply matrices, transposed where that is said."""
    return (first.mT if turned else first) @ (second.mT if turns else second)


@OPERATORS.named("LOG_SOFTMAX")
def _log_softmax(builder: Builder, operator: TfliteOperator) -> Real:
    _require_float(builder, operator)
    return builder.call(torch.log_softmax, builder.value(operator), -1)


def _require_float(builder: Builder, operator: TfliteOperator) -> None:
    if builder.is_quantized(operator):
        raise UntranslatedError(f"{operator} is translated in float only")
