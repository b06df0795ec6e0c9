"""A fake quantization and the one convolution that reads it, as one step of the gradient."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from edgerift.deploy.twins._integer_convolution import Geometry, input_gradient
from edgerift.deploy.twins._straight_through import FakeQuantize, inside

Context = Any


class _RoundAndConvolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        value: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
        rounding: FakeQuantize,
    ) -> Tensor:
        ctx.save_for_backward(value, weight)
        ctx.settings = geometry, rounding
        rounded = (value * rounding.grid.inverse).clamp_(*rounding.clip).round_().mul_(rounding.grid.scale)
        return geometry.convolve(rounded, weight, bias)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        value, weight = ctx.saved_tensors
        geometry, rounding = ctx.settings
        floor, ceiling = (bound * rounding.grid.scale for bound in rounding.passing)
        reached = input_gradient(grad, value.shape, weight, geometry)
        # The gradient was made here and is read nowhere else, so it is masked in place.
        return inside(reached, value, floor, ceiling, in_place=True), None, None, None, None


@final
class RoundedConvolution(nn.Module):
    """Round to a grid, then convolve: the same values and gradients as one after the other, at less memory.

    What was rounded is not kept for the backward pass, which saves a tensor in three; allocation dominates a
    twin's gradient besides its convolutions.
    """

    def __init__(self, rounding: FakeQuantize, geometry: Geometry) -> None:
        """Remember how to round and how to convolve."""
        super().__init__()
        self.rounding = rounding
        self.geometry = geometry

    def forward(self, value: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve `value` `[N,C,...]`, rounded, with float32 `weight` and `bias`."""
        result: Tensor = _RoundAndConvolve.apply(  # type: ignore[no-untyped-call]
            value, weight, bias, self.geometry, self.rounding
        )
        return result
