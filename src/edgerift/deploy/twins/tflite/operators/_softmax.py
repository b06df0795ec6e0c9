"""Softmax over the last dimension."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.twins._straight_through import clipped, passing_range
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._fixed_point import fixed_multiplier, half_away, multiplied_by, shifted
from edgerift.deploy.twins.tflite._gemmlowp import exponential, product, reciprocal
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError
from edgerift.deploy.twins.tflite._through import Clip, Passing, through

_INTEGER_BITS: Final = 5


@OPERATORS.named("SOFTMAX")
def _softmax(builder: Builder, operator: TfliteOperator) -> Real:
    beta = float(operator.options.get("Beta", 1.0))
    value = builder.value(operator)
    if not builder.is_quantized(operator):
        return builder.call(softmax, value, beta)
    grid, result = builder.grid(operator), builder.result_grid(operator)
    bounds = clipped(result, None, None), passing_range(result, None, None)
    if result.low != 0:
        raise UntranslatedError(
            f"{operator} answers with the zero point {result.zero_point}; {result.minimum} is known"
        )
    settings = grid.scale * beta, result.scale
    if builder.kernels == "reference":
        tables = _fixed_exponentials(beta * grid.scale)
        return builder.call(softmax_in_fixed_point, value, *tables, *settings, *bounds)
    return builder.call(softmax_by_table, value, _exponentials(grid.scale, beta), *settings, *bounds)


def softmax(value: Tensor, beta: float) -> Tensor:
    """Softmax of `beta` times the last dimension."""
    return torch.softmax(value * beta, -1)


def _exponentials(scale: float, beta: float) -> Tensor:
    """exp of all differences of two levels, from 0 downwards, float32."""
    step = np.float32(-np.float32(scale) * np.float32(beta))
    exponents = (step * np.arange(256, dtype=np.float32)).astype(np.float64)
    return torch.from_numpy(np.exp(exponents).astype(np.float32))


def softmax_by_table(levels: Tensor, table: Tensor, step: float, scale: float, clip: Clip, passing: Passing) -> Tensor:
    """The optimised kernel: exponentials from a table, added up one by one in float32, rounded half away from zero."""
    powers = table[(levels.detach().amax(-1, keepdim=True) - levels.detach()).long()]
    total = torch.zeros_like(powers[..., 0])
    for place in range(powers.shape[-1]):
        total = total + powers[..., place]
    inverse = 1.0 / (total * torch.tensor(scale, device=levels.device))
    rounded = half_away(powers * inverse[..., None])
    return through(torch.softmax(levels * step, -1) / scale, rounded, clip, passing)


def _fixed_exponentials(step: float) -> tuple[Tensor, Tensor]:
    """exp of all differences of two levels, from 0 downwards, in fixed point; and which differences count as none."""
    factor = min(step * (1 << (31 - _INTEGER_BITS)), float((1 << 31) - 1))
    multiplier, exponent = fixed_multiplier(factor)
    radius = math.floor(((1 << _INTEGER_BITS) - 1) * (1 << (31 - _INTEGER_BITS)) / (1 << exponent))
    differences = -torch.arange(256)
    scaled = multiplied_by(differences, (multiplier, exponent))
    return exponential(scaled.clamp_min(-(2**31))), differences >= -radius


def softmax_in_fixed_point(
    levels: Tensor,
    table: Tensor,
    counts: Tensor,
    step: float,
    scale: float,
    clip: Clip,
    passing: Passing,
) -> Tensor:
    """The reference kernel, in fixed point throughout."""
    places = (levels.detach().amax(-1, keepdim=True) - levels.detach()).long()
    powers, kept = table[places], counts[places]
    parts = shifted(powers, torch.full((), 12, device=levels.device))
    factor, bits = reciprocal(torch.where(kept, parts, 0).sum(-1, keepdim=True))
    rounded = torch.where(kept, shifted(product(powers, factor), bits + 31 - 8), 0)
    return through(torch.softmax(levels * step, -1) / scale, rounded, clip, passing)
