"""A rounded value with the gradient of the real one beside it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgerift.deploy.twins._straight_through import inside

Context = Any
Clip = tuple[int, int]
Passing = tuple[float, float]


class _Through(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, real: Tensor, rounded: Tensor, clip: Clip, passing: Passing) -> Tensor:
        ctx.save_for_backward(real)
        ctx.passing = passing
        return rounded.clamp(*clip).to(real.dtype)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (real,) = ctx.saved_tensors
        return inside(grad, real, *ctx.passing), None, None, None


def through(real: Tensor, rounded: Tensor, clip: Clip, passing: Passing) -> Tensor:
    """Give whole numbers, clipped, with the gradient of the real numbers that they are the rounding of."""
    result: Tensor = _Through.apply(real, rounded, clip, passing)  # type: ignore[no-untyped-call]
    return result
