"""The rounding of integer sums to the next grid, by the rules of LiteRT's kernels, with straight-through gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from edgerift.deploy.twins._straight_through import inside
from edgerift.deploy.twins.tflite._builder import Kernels
from edgerift.deploy.twins.tflite._fixed_point import fixed_multipliers, half_away, multiplied, outside_blocks

Context = Any
Layer: TypeAlias = Literal["convolution", "grouped", "depthwise", "dense"]
Rule: TypeAlias = Callable[..., Tensor]

_BLOCK: Final = 8


class Requantization(NamedTuple):
    """How sums are brought to the next grid: a rule with its numbers, and the real factor in float32."""

    rule: Rule
    numbers: list[Tensor]
    factor: Tensor


def even_in_float32(sums: Tensor, factor: Tensor) -> Tensor:
    """XNNPACK: a product in float32, half to even."""
    return (sums.float() * factor).round()


def twice(sums: Tensor, multiplier: Tensor, right: Tensor, half: Tensor, below: Tensor) -> Tensor:
    """TensorFlow Lite's own kernels: in fixed point, rounded twice; see `fixed_multipliers`."""
    return multiplied(sums.to(torch.int64, copy=True), multiplier, right, half, below)


def away_in_float64(sums: Tensor, factor: Tensor) -> Tensor:
    """The reference's matrix products: one rounding, half away from zero, in float64."""
    return half_away(sums.double() * factor)


class Factors(NamedTuple):
    """The scales of a layer's input, of its weights, float32 that broadcast against the result, and of its result.

    `single` says that the product of the first two is rounded to float32, as it is where weights have one scale, and
    `unsigned` that the numbers are uint8.
    """

    scale: float
    weights: Tensor
    result: float
    single: bool
    unsigned: bool


def requantization(kernels: Kernels, layer: Layer, factors: Factors) -> Requantization:
    """Choose how a layer's sums are rounded."""
    scale, weights = torch.tensor(factors.scale), factors.weights
    factor = scale * weights / torch.tensor(factors.result)
    if kernels == "default":
        return Requantization(even_in_float32, [factor], factor)
    product = (scale * weights).double() if factors.single else factors.scale * weights.double()
    exact = product / factors.result
    if kernels == "reference" and layer == "dense":
        return Requantization(away_in_float64, [exact], factor)
    away = _away(layer, weights, unsigned=factors.unsigned) if kernels == "builtin" else True
    return Requantization(twice, fixed_multipliers(exact, away), factor)


def _away(layer: Layer, weights: Tensor, *, unsigned: bool) -> Tensor | bool:
    """Where the optimised kernels round ties away from zero as the reference does, and not up.

    Grouped convolutions are the reference's. Depthwise ones of int8 are computed in blocks of 8 channels, and what is
    left over as the reference does; those of uint8 round as it does throughout.
    """
    if layer == "depthwise" and not unsigned:
        return outside_blocks(weights.numel(), _BLOCK).reshape(weights.shape)
    return layer in ("grouped", "depthwise")


class _RoundSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        sums: Tensor,
        rule: Rule,
        numbers: list[Tensor],
        factor: Tensor,
        clip: tuple[int, int],
        passing: tuple[float, float],
    ) -> Tensor:
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(sums.float() * factor, factor)
            ctx.settings = passing, sums.dtype
        return rule(sums, *numbers).clamp(*clip).float()

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        scaled, factor = ctx.saved_tensors
        passing, dtype = ctx.settings
        passed = inside(grad, scaled, *passing).mul_(factor)
        return passed.to(dtype), None, None, None, None, None


def round_sums(
    sums: Tensor,
    rule: Rule,
    numbers: list[Tensor],
    factor: Tensor,
    clip: tuple[int, int],
    passing: tuple[float, float],
) -> Tensor:
    """Bring whole sums to the levels of the next grid, float32, by a rule with numbers that broadcast against them."""
    result: Tensor = _RoundSums.apply(sums, rule, numbers, factor, clip, passing)  # type: ignore[no-untyped-call]
    return result
