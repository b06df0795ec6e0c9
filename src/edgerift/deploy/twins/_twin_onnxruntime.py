"""The twin that rounds as ONNX Runtime's integer kernels (MLAS) do on x86."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, fx

from edgerift.deploy.program._grid import Grid, grid_of
from edgerift.deploy.program._layers import real_bias, sum_scales, whole_bias
from edgerift.deploy.program._operators import ADAPTIVE_AVERAGE, ADD, AVERAGE, MEAN, MULTIPLY, operator_name
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._regions import Region
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._integer_twin import (
    Clip,
    Kernels,
    Passing,
    integer_twin,
    keeps_extent,
    layer_sums,
    per_channel,
    rounding,
)
from edgerift.deploy.twins._onnx_graph import onnx_form, zero_level
from edgerift.deploy.twins._straight_through import clipped, passing_range, requantize
from edgerift.deploy.twins._translation import Translation

Context = Any

_LINEAR: Final = "aten.linear.default"
#: Kernel, stride, padding, `ceil_mode`, `count_include_pad` and `divisor_override` of an average.
_POOLING: Final[tuple[Any, ...]] = (None, [], [0, 0], False, True, None)


def onnxruntime_twin(program: Program) -> Body:
    """Translate a program into the arithmetic of the kernels that ONNX Runtime picks for its build on x86 with AVX2.

    What it does not run in integers stays in float, in the order of the exported graph.
    """
    operators = {ADD: _add, ADAPTIVE_AVERAGE: _mean, MEAN: _mean, AVERAGE: _average, MULTIPLY: _multiply}
    return integer_twin(program, Kernels(_quantize, operators, _real_layer), onnx_form(program))


def _quantize(twin: Translation, grid: Grid, value: fx.Node) -> fx.Node:
    scale = twin.constant(torch.tensor(grid.scale))
    return twin.call(_divide_and_round, value, scale, 0, clipped(grid, None, None), passing_range(grid, None, None))


def _mean(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    scales = (grid_of(region.inputs[0]).scale, region.grid.scale)
    return twin.call(_requantize_mean, inputs[0], scales, keeps_extent(region), *rounding(region))


def _requantize_mean(levels: Tensor, scales: tuple[float, float], keep: bool, clip: Clip, passing: Passing) -> Tensor:
    """MLAS divides the input's scale once, by the product of the output's scale and the number of pixels."""
    pixels = np.float32(levels.shape[2] * levels.shape[3])
    factor = float(np.float32(scales[0]) / (np.float32(scales[1]) * pixels))
    return requantize(levels.sum((2, 3), keepdim=keep), levels.new_tensor(factor), clip, passing)


def _average(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    scales = (grid_of(region.inputs[0]).scale, region.grid.scale)
    pooling = region.operator.args[1:]
    zero = zero_level(region.quantize)
    return twin.call(_pool_and_round, inputs[0], pooling, scales, zero, *rounding(region))


def _pool_and_round(
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
        return _requantize_mean(levels, scales, True, clip, passing)
    pooled = torch.ops.aten.avg_pool2d.default(levels * scales[0], *pooling)
    return _divide_and_round(pooled, levels.new_tensor(scales[1]), zero, clip, passing)


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


def _divide_and_round(value: Tensor, scale: Tensor, zero: int, clip: Clip, passing: Passing) -> Tensor:
    """Round to levels: `clip(round_half_even(value / scale + zero) - zero)`; a zero point decides who wins a tie."""
    rounded: Tensor = _DivideAndRound.apply(value, scale, zero, clip, passing)  # type: ignore[no-untyped-call]
    return rounded


def _multiply(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    """MLAS rounds after adding the zero point."""
    first, second = (np.float32(grid_of(node).scale) for node in region.inputs)
    factor = twin.constant(torch.tensor(float(first * second / np.float32(region.grid.scale))))
    zero = zero_level(region.quantize)
    return twin.call(requantize, twin.call(torch.mul, *inputs), factor, *rounding(region), zero)


def _add(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    scales = [np.float32(grid_of(node).scale) for node in (*region.inputs, region.quantize)]
    zeros = tuple(zero_level(node) for node in (*region.inputs, region.quantize))
    first, second = scales[0] / scales[2], scales[1] / scales[2]
    return twin.call(_add_fused, *inputs, (float(first), float(second)), zeros, *rounding(region))


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


def _add_fused(
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


def _real_layer(twin: Translation, layer: fx.Node, levels: fx.Node) -> fx.Node:
    factor = twin.constant(per_channel(layer, sum_scales(twin.source, layer)))
    if operator_name(layer.target) == _LINEAR:
        return twin.call(torch.mul, layer_sums(twin, layer, levels, whole_bias(twin.source, layer)), factor)
    real = twin.call(torch.mul, layer_sums(twin, layer, levels, None), factor)
    bias = real_bias(twin.source, layer)
    return real if bias is None else twin.call(torch.add, real, twin.constant(per_channel(layer, bias)))
