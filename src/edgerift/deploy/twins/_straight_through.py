"""Rounding with a gradient: forward what the integers do, backward as if nothing had been rounded.

The straight-through estimator (Bengio et al. 2013, arXiv:1308.3432) passes the gradient where the value was inside
the clipping range and stops it outside. Every function here saves one tensor for its backward pass at most, and works
in whole-tensor passes, because on a CPU these passes are what a twin costs beyond its convolutions.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from edgerift.deploy.program._grid import Grid

Context = Any


def inside(grad: Tensor, value: Tensor, low: float, high: float, *, in_place: bool = False) -> Tensor:
    """Keep `grad` where `low < value < high`, in one pass; `in_place` writes over `grad`."""
    if in_place and not torch.compiler.is_compiling():
        kept: Tensor = torch.ops.aten.hardtanh_backward.grad_input(grad, value, low, high, grad_input=grad)
    else:
        kept = torch.ops.aten.hardtanh_backward(grad, value, low, high)
    return kept


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        value: Tensor,
        inverse: float,
        scale: float,
        low: int,
        high: int,
        floor: float,
        ceiling: float,
    ) -> Tensor:
        ctx.save_for_backward(value)
        ctx.bounds = floor, ceiling
        return (value * inverse).clamp_(low, high).round_().mul_(scale)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (value,) = ctx.saved_tensors
        return inside(grad, value, *ctx.bounds), None, None, None, None, None, None


@final
class FakeQuantize(nn.Module):
    """Round to a grid and return to real values: `scale * clip(round(value / scale), low, high)`.

    The input is float32 of any shape; so is the result, which is bit-equal to quantizing and dequantizing. `low` and
    `high`, counted from the zero point, narrow the clipping range and stand for an activation that came before
    (a ReLU clips at 0). The gradient passes where the value lies inside the range, to half a level beyond its ends,
    except at an activation's own bound.

    >>> grid = Grid(scale=0.5, zero_point=0, minimum=-2, maximum=1)
    >>> FakeQuantize(grid)(torch.tensor([-3.0, -0.3, 0.2, 0.3, 9.0]))
    tensor([-1.0000, -0.5000,  0.0000,  0.5000,  0.5000])
    """

    def __init__(self, grid: Grid, low: int | None = None, high: int | None = None) -> None:
        """Remember the grid and the bounds of the activation, if any."""
        super().__init__()
        self.grid = grid
        self.clip = clipped(grid, low, high)
        self.passing = passing_range(grid, low, high)

    def forward(self, value: Tensor) -> Tensor:
        """Round `value`, float32 of any shape."""
        return fake_quantize(value, self.grid, self.clip, self.passing)


def fake_quantize(value: Tensor, grid: Grid, clip: tuple[int, int], passing: tuple[float, float]) -> Tensor:
    """Round to a grid, clip to levels and return to real values; see :class:`FakeQuantize`."""
    floor, ceiling = passing
    rounded: Tensor = _FakeQuantize.apply(  # type: ignore[no-untyped-call]
        value, grid.inverse, grid.scale, *clip, floor * grid.scale, ceiling * grid.scale
    )
    return rounded


def clipped(grid: Grid, low: int | None, high: int | None) -> tuple[int, int]:
    """Narrow a grid's levels by an activation's bounds, all counted from the zero point."""
    return (
        grid.low if low is None else max(low, grid.low),
        grid.high if high is None else min(high, grid.high),
    )


def passing_range(grid: Grid, low: int | None, high: int | None) -> tuple[float, float]:
    """Say between which levels (not values) the gradient passes, both ends excluded."""
    floor = grid.low - 0.5 if low is None or low < grid.low else float(low)
    ceiling = grid.high + 0.5 if high is None or high >= grid.high else float(high)
    return floor, ceiling


class _QuantizeLevels(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, value: Tensor, inverse: float, low: int, high: int, floor: float, ceiling: float
    ) -> Tensor:
        levels = value * inverse
        ctx.save_for_backward(levels)
        ctx.settings = inverse, floor, ceiling
        return levels.clamp(low, high).round_()

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (levels,) = ctx.saved_tensors
        inverse, floor, ceiling = ctx.settings
        return inside(grad, levels, floor, ceiling).mul_(inverse), None, None, None, None, None


@final
class QuantizeLevels(nn.Module):
    """Round real values to levels counted from the zero point: `clip(round(value / scale), low, high)`, as float32."""

    def __init__(self, grid: Grid) -> None:
        """Remember the grid."""
        super().__init__()
        self.grid = grid

    def forward(self, value: Tensor) -> Tensor:
        """Round `value`, float32 of any shape."""
        grid = self.grid
        levels: Tensor = _QuantizeLevels.apply(  # type: ignore[no-untyped-call]
            value, grid.inverse, *clipped(grid, None, None), *passing_range(grid, None, None)
        )
        return levels


class _Requantize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context, sums: Tensor, factor: Tensor, low: int, high: int, floor: float, ceiling: float, zero: int
    ) -> Tensor:
        levels = sums * factor
        ctx.save_for_backward(levels, factor)
        ctx.bounds = floor, ceiling
        clipped_levels = levels.clamp(low, high)
        return clipped_levels.add_(zero).round_().sub_(zero) if zero else clipped_levels.round_()

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        levels, factor = ctx.saved_tensors
        return inside(grad, levels, *ctx.bounds).mul_(factor), None, None, None, None, None, None


def requantize(
    sums: Tensor, factor: Tensor, clip: tuple[int, int], passing: tuple[float, float], zero: int = 0
) -> Tensor:
    """Bring integer sums to the levels of the next grid: `clip(round_half_even(sums * factor), *clip)`.

    `sums` is float32 holding whole numbers, `[N,C,...]`; `factor` is float32 that broadcasts against it, or a scalar
    tensor. This is the float32 requantization of XNNPACK and of ONNX Runtime's MLAS. A kernel that rounds after adding
    its zero point passes it as `zero`: an odd one turns the choice between two equally near levels around.
    """
    result: Tensor = _Requantize.apply(sums, factor, *clip, *passing, zero)  # type: ignore[no-untyped-call]
    return result


class _AddFixedPoint(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        first: Tensor,
        second: Tensor,
        multipliers: tuple[int, int],
        shift: int,
        clip: tuple[int, int],
        passing: tuple[float, float],
    ) -> Tensor:
        first, second = torch.broadcast_tensors(first, second)
        total = first.to(torch.int32, copy=True).mul_(multipliers[0])
        total.add_(second.to(torch.int32), alpha=multipliers[1]).add_(1 << (shift - 1)).bitwise_right_shift_(shift)
        levels = total.to(first.dtype)
        ctx.save_for_backward(levels)
        ctx.slopes = [multiplier / (1 << shift) for multiplier in multipliers]
        ctx.passing = passing
        return levels.clamp(*clip)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (levels,) = ctx.saved_tensors
        passed = inside(grad, levels, *ctx.passing)
        return passed * ctx.slopes[0], passed * ctx.slopes[1], None, None, None, None


def add_fixed_point(
    first: Tensor,
    second: Tensor,
    multipliers: tuple[int, int],
    shift: int,
    clip: tuple[int, int],
    passing: tuple[float, float],
) -> Tensor:
    """Add two tensors of levels in fixed point: `clip((a * m_a + b * m_b + 2^(shift-1)) >> shift, *clip)`.

    Both are float32 holding whole numbers in [-255, 255], of shapes that broadcast; the multipliers are below 2^22.
    """
    result: Tensor = _AddFixedPoint.apply(first, second, multipliers, shift, clip, passing)  # type: ignore[no-untyped-call]
    return result
