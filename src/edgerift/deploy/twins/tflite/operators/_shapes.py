"""Shapes as numbers, which converters compute where the batch is free; they are constants here, for one image."""

from __future__ import annotations

import torch
from torch import Tensor

from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError


@OPERATORS.named("SHAPE")
def _shape(builder: Builder, operator: TfliteOperator) -> Real:
    return torch.tensor(builder.tensor(operator).shape, dtype=torch.int32)


@OPERATORS.named("PACK")
def _pack(builder: Builder, operator: TfliteOperator) -> Real:
    parts = [builder.value(operator, place) for place in range(len(operator.inputs))]
    constants = [part for part in parts if isinstance(part, Tensor)]
    if len(constants) != len(parts):
        raise UntranslatedError(f"{operator} joins what is computed from the image along a new dimension")
    return torch.stack(constants, int(operator.options.get("Axis", 0)))
