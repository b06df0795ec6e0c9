"""The arithmetic of ONNX Runtime's integer kernels (MLAS) on x86, on levels counted from the zero point."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.twins._integer_twin import Clip, Passing
from edgerift.deploy.twins._straight_through import requantize

Context = Any

#: Kernel, stride, padding, `ceil_mode`, `count_include_pad` and `divisor_override` of an average.
_POOLING: Final[tuple[Any, ...]] = (None, [], [0, 0], False, True, None)


class _DivideAndRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, value: Tensor, scale: Tensor, zero: int, clip: Clip, passing: Passing) -> Tensor:
        levels = value / scale
        ctx.save_for_backward(levels, scale)
        ctx.passing = passing
        return (levels + zero).round_().sub_(zero).clamp_(*clip)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        levels, scale = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(grad, levels, *ctx.passing)
        return passed / scale, None, None, None, None


def divide_and_round(value: Tensor, scale: Tensor, zero: int, clip: Clip, passing: Passing) -> Tensor:
    """Round to levels: `clip(round_half_even(value / scale + zero) - zero)`; a zero point decides who wins a tie."""
    rounded: Tensor = _DivideAndRound.apply(value, scale, zero, clip, passing)  # type: ignore[no-untyped-call]
    return rounded


def requantize_mean(levels: Tensor, scales: tuple[float, float], keep: bool, clip: Clip, passing: Passing) -> Tensor:
    """MLAS divides the input's scale once, by the product of the output's scale and the number of pixels."""
    pixels = np.float32(levels.shape[2] * levels.shape[3])
    factor = float(np.float32(scales[0]) / (np.float32(scales[1]) * pixels))
    return requantize(levels.sum((2, 3), keepdim=keep), levels.new_tensor(factor), clip, passing)


def pool_and_round(
    levels: Tensor,
    pooling: tuple[Any, ...],
    scales: tuple[float, float],
    zero: int,
    clip: Clip,
    passing: Passing,
) -> Tensor:
    """ONNX Runtime averages dequantized values in float; a window of the whole image takes the global kernel."""
    given: list[Any] = [*pooling, *_POOLING[len(pooling) :]]
    kernel, padding, divisor = given[0], given[2], given[5]
    if list(kernel) == list(levels.shape[2:]) and not any(padding) and divisor is None:
        return requantize_mean(levels, scales, True, clip, passing)
    pooled = torch.ops.aten.avg_pool2d.default(levels * scales[0], *pooling)
    return divide_and_round(pooled, levels.new_tensor(scales[1]), zero, clip, passing)


class _AddFused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        first: Tensor,
        second: Tensor,
        ratios: tuple[float, float],
        zeros: tuple[int, int, int],
        clip: Clip,
        passing: Passing,
    ) -> Tensor:
        offset = _add_offset(ratios, zeros)
        first, second = torch.broadcast_tensors(first, second)
        # A product of a level and a float32 is exact in float64, so rounding the sum once is a fused multiply-add.
        total = second.double().add_(zeros[1]).mul_(ratios[1]).add_(offset).float().double()
        total = first.double().add_(zeros[0]).mul_(ratios[0]).add_(total).float()
        ctx.save_for_backward(total - zeros[2])
        ctx.settings = ratios, passing
        return total.round_().sub_(zeros[2]).clamp_(*clip)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (levels,) = ctx.saved_tensors
        ratios, passing = ctx.settings
        passed = torch.ops.aten.hardtanh_backward(grad, levels, *passing)
        return passed * ratios[0], passed * ratios[1], None, None, None, None


def _add_offset(ratios: tuple[float, float], zeros: tuple[int, int, int]) -> float:
    """The part of the sum that does not depend on the levels, with the one fused step that MLAS is compiled to."""
    product = float(np.float32(ratios[1] * zeros[1]))
    return float(np.float32(zeros[2] - float(np.float32(ratios[0] * zeros[0] + product))))


def add_fused(
    first: Tensor,
    second: Tensor,
    ratios: tuple[float, float],
    zeros: tuple[int, int, int],
    clip: Clip,
    passing: Passing,
) -> Tensor:
    """Add as MLAS's AVX2 kernel: two fused multiply-adds of uint8 levels in float32, then round half to even."""
    rounded: Tensor = _AddFused.apply(first, second, ratios, zeros, clip, passing)  # type: ignore[no-untyped-call]
    return rounded


class _MultiplyLevels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, first: Tensor, second: Tensor, ratio: float, zero: int, clip: Clip, passing: Passing
    ) -> Tensor:
        levels = first * second * ratio
        ctx.save_for_backward(first, second, levels)
        ctx.settings = ratio, passing
        return (levels + zero).round_().sub_(zero).clamp_(*clip)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        first, second, levels = ctx.saved_tensors
        ratio, passing = ctx.settings
        passed = torch.ops.aten.hardtanh_backward(grad, levels, *passing) * ratio
        return passed * second, passed * first, None, None, None, None


def multiply_levels(first: Tensor, second: Tensor, ratio: float, zero: int, clip: Clip, passing: Passing) -> Tensor:
    """Multiply levels of equal shape: `clip(round_half_even(first * second * ratio + zero) - zero)` in float32."""
    first, second = torch.broadcast_tensors(first, second)
    rounded: Tensor = _MultiplyLevels.apply(first, second, ratio, zero, clip, passing)  # type: ignore[no-untyped-call]
    return rounded
