"""Means and maxima over windows, and means over dimensions."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._straight_through import clipped, passing_range, requantize
from edgerift.deploy.twins.tflite._activations import activated, rounding
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._fixed_point import fixed_multiplier, multiplied_by, outside_blocks
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError
from edgerift.deploy.twins.tflite._through import Clip, Passing, through
from edgerift.deploy.twins.tflite._windows import Window, channels_last, channels_second, padded, window_of

_BITS: Final = 31
_BLOCK: Final = 16


@OPERATORS.named("AVERAGE_POOL_2D")
def _average(builder: Builder, operator: TfliteOperator) -> Real:
    window = _window(builder, operator)
    value, _ = padded(builder, operator, channels_second(builder, builder.value(operator)), window, 0.0, always=True)
    counts = _counts(builder, operator, window)
    if not builder.is_quantized(operator):
        result = channels_last(builder, builder.call(average, value, counts, window))
        return activated(builder, operator, result)
    zero, bounds = builder.grid(operator).zero_point, rounding(builder, operator)
    return channels_last(builder, builder.call(average_levels, value, counts, window, zero, *bounds))


def _counts(builder: Builder, operator: TfliteOperator, window: Window) -> Tensor:
    """How many pixels each window has, those of the padding left out: [1,1,H,W]."""
    height, width = builder.tensor(operator).shape[1:3]
    (above, below), (left, right) = window.padding((height, width))
    whole = F.pad(torch.ones(1, 1, height, width), (left, right, above, below))
    return F.avg_pool2d(whole, window.kernel, window.stride, divisor_override=1).round()


def average(value: Tensor, counts: Tensor, window: Any) -> Tensor:
    """Average over windows of different counts of pixels; the rest of each is zero."""
    kernel, stride = window[:2]
    return F.avg_pool2d(value, kernel, stride, divisor_override=1) / counts


def average_levels(value: Tensor, counts: Tensor, window: Any, zero: int, clip: Clip, passing: Passing) -> Tensor:
    """Average levels: the integers themselves are divided, half away from zero, not the levels from the zero point."""
    kernel, stride = window[:2]
    sums = F.avg_pool2d(value, kernel, stride, divisor_override=1)
    whole, parts = (sums.detach().round().long() + zero * counts.long()), counts.long()
    added = whole + torch.where(whole > 0, parts // 2, -(parts // 2))
    rounded = torch.div(added, parts, rounding_mode="trunc") - zero
    return through(sums / counts, rounded, clip, passing)


@OPERATORS.named("MAX_POOL_2D")
def _maximum(builder: Builder, operator: TfliteOperator) -> Real:
    window = _window(builder, operator)
    lowest = float("-inf")
    value, _ = padded(builder, operator, channels_second(builder, builder.value(operator)), window, lowest, always=True)
    result = channels_last(builder, builder.call(F.max_pool2d, value, window.kernel, window.stride))
    if not builder.is_quantized(operator):
        return activated(builder, operator, result)
    (low, high), _ = rounding(builder, operator)
    grid = builder.result_grid(operator)
    return result if (low, high) == (grid.low, grid.high) else builder.call(torch.clamp, result, low, high)


def _window(builder: Builder, operator: TfliteOperator) -> Window:
    given = builder.tensor(operator).shape
    if len(given) != 4:
        raise UntranslatedError(f"{operator} pools {list(given)}; [N,H,W,C] is translated")
    window = window_of(operator, int(operator.options["FilterHeight"]), int(operator.options["FilterWidth"]))
    made = (*window.result(given[1:3]), given[3])
    if builder.result(operator).shape[1:] != made:
        raise UntranslatedError(f"{operator} makes {list(made)}, and the file says {builder.result(operator).shape}")
    if builder.is_quantized(operator) and builder.grid(operator) != builder.result_grid(operator):
        raise UntranslatedError(f"{operator} changes the grid")
    return window


@OPERATORS.named("MEAN")
def _mean(builder: Builder, operator: TfliteOperator) -> Real:
    given, keeps = builder.tensor(operator).shape, bool(operator.options.get("KeepDims", False))
    axes = tuple(sorted({axis % len(given) for axis in builder.whole(operator, 1)}))
    if not axes or 0 in axes:
        raise UntranslatedError(
            f"{operator} takes the mean of axes {list(axes)}; those behind the batch are translated"
        )
    count = math.prod(given[axis] for axis in axes)
    if not builder.is_quantized(operator):
        return builder.call(torch.mean, builder.value(operator), axes, keeps)
    grid, result = builder.grid(operator), builder.result_grid(operator)
    bounds = clipped(result, None, None), passing_range(result, None, None)
    ratio = float(np.float32(grid.scale) / np.float32(result.scale))
    value = builder.value(operator)
    if builder.kernels == "default":
        sums = builder.call(whole_sum, value, axes, keeps)
        factor = torch.tensor(ratio) / count
        return builder.call(requantize, sums, factor, *bounds, result.zero_point)
    if builder.kernels == "builtin" and keeps and len(given) == 4 and axes == (1, 2):
        plan, away = _pooled_plan(grid, result, count), outside_blocks(given[3], _BLOCK)
    else:
        plan, away = _mean_plan(grid, result, count), torch.ones(1, dtype=torch.bool)
    return builder.call(mean_levels, value, axes, keeps, plan, away, ratio / count, *bounds)


def _mean_plan(grid: Grid, result: Grid, count: int) -> tuple[tuple[int, int], int, int]:
    """The multiplier, what is added to sums and what to results: the division is put into the multiplier."""
    multiplier, exponent = fixed_multiplier(grid.scale / result.scale)
    shift = min(count.bit_length() - 1, 32, _BITS + exponent)
    return ((multiplier << shift) // count, exponent - shift), 0, 0


def _pooled_plan(grid: Grid, result: Grid, count: int) -> tuple[tuple[int, int], int, int]:
    """The same of the kernel for means over height and width, which multiplies the integers with their zero point."""
    scale, other = np.float32(grid.scale), np.float32(result.scale)
    offset = np.float32(grid.zero_point) * scale / other
    bias = int(offset + np.float32(0.5)) if offset > 0 else int(offset - np.float32(0.5))
    factor = fixed_multiplier(float(scale / (np.float32(count) * other)))
    return factor, grid.zero_point * count, -bias


def whole_sum(value: Tensor, axes: tuple[int, ...], keeps: bool) -> Tensor:
    """Add whole numbers without an error, and round the sum to float32."""
    return value.sum(axes, keeps, dtype=torch.float64).float()


def mean_levels(
    value: Tensor,
    axes: tuple[int, ...],
    keeps: bool,
    plan: Any,
    away: Tensor,
    factor: float,
    clip: Clip,
    passing: Passing,
) -> Tensor:
    """Average levels by a fixed-point multiplier; see `shifted`."""
    multiplier, before, after = plan
    sums = whole_sum(value, axes, keeps)
    rounded = multiplied_by(sums.detach().round().long() + before, multiplier, away) + after
    return through(sums * factor, rounded, clip, passing)
