"""Quotients, and the larger and the smaller of two tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from edgerift.deploy.twins.tflite._activations import activated
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError


@OPERATORS.named("DIV")
def _divide(builder: Builder, operator: TfliteOperator) -> Real:
    if builder.is_quantized(operator):
        raise UntranslatedError(f"{operator} divides integers")
    quotient = builder.call(torch.div, builder.value(operator), builder.value(operator, 1))
    result: Real = activated(builder, operator, quotient)
    return result


def larger(first: Tensor, second: Tensor) -> Tensor:
    """The larger of two numbers; where they are equal the gradient goes to the second, as at a bound."""
    return torch.where(first > second, first, second)


def smaller(first: Tensor, second: Tensor) -> Tensor:
    """The smaller of two numbers; where they are equal the gradient goes to the second, as at a bound."""
    return torch.where(first < second, first, second)


def _compare(builder: Builder, operator: TfliteOperator, chosen: Callable[[Tensor, Tensor], Tensor]) -> Real:
    if builder.is_quantized(operator):
        grids = {builder.grid(operator), builder.grid(operator, 1), builder.result_grid(operator)}
        if len(grids) > 1:
            raise UntranslatedError(f"{operator} compares numbers on different grids")
    compared: Any = builder.call(chosen, builder.value(operator), builder.value(operator, 1))
    result: Real = compared
    return result


OPERATORS.register("MAXIMUM", functools.partial(_compare, chosen=larger))
OPERATORS.register("MINIMUM", functools.partial(_compare, chosen=smaller))
