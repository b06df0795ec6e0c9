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


def twice_up(sums: Tensor, multiplier: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The optimised kernels: in fixed point, the second rounding half up."""
    return multiplied(sums.long(), multiplier, left, right, False)


def twice_away(sums: Tensor, multiplier: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """The reference's convolutions: in fixed point, the second rounding half away from zero."""
    return multiplied(sums.long(), multiplier, left, right, True)


def twice_by_blocks(sums: Tensor, multiplier: Tensor, left: Tensor, right: Tensor, rest: Tensor) -> Tensor:
    """The optimised depthwise convolution: half up in blocks of 8 channels, away from zero in those left over."""
    return multiplied(sums.long(), multiplier, left, right, rest)


def away_in_float64(sums: Tensor, factor: Tensor) -> Tensor:
    """The reference's matrix products: one rounding, half away from zero, in float64."""
    return half_away(sums.double() * factor)


#: The rule of each of the kernels for each kind of layer.
_RULES: Final[dict[tuple[Kernels, Layer], Rule]] = {
    ("default", "convolution"): even_in_float32,
    ("default", "grouped"): even_in_float32,
    ("default", "depthwise"): even_in_float32,
    ("default", "dense"): even_in_float32,
    ("builtin", "convolution"): twice_up,
    ("builtin", "grouped"): twice_away,
    ("builtin", "depthwise"): twice_by_blocks,
    ("builtin", "dense"): twice_up,
    ("reference", "convolution"): twice_away,
    ("reference", "grouped"): twice_away,
    ("reference", "depthwise"): twice_away,
    ("reference", "dense"): away_in_float64,
}


class Factors(NamedTuple):
    """The scales of a layer's input, of its weights, float32 that broadcast against the result, and of its result.

    `single` says that the product of the first two is rounded to float32, as it is where weights have one scale.
    """

    scale: float
    weights: Tensor
    result: float
    single: bool


def requantization(kernels: Kernels, layer: Layer, factors: Factors, *, unsigned: bool = False) -> Requantization:
    """Choose how a layer's sums are rounded; the old kernels for `unsigned` numbers know no blocks of channels."""
    rule = _RULES[kernels, layer]
    if unsigned and rule is twice_by_blocks:
        rule = twice_away
    scale, weights = torch.tensor(factors.scale), factors.weights
    factor = scale * weights / torch.tensor(factors.result)
    if rule is even_in_float32:
        return Requantization(rule, [factor], factor)
    product = (scale * weights).double() if factors.single else factors.scale * weights.double()
    exact = product / factors.result
    if rule is away_in_float64:
        return Requantization(rule, [exact], factor)
    numbers = fixed_multipliers(exact)
    if rule is twice_by_blocks:
        numbers.append(outside_blocks(weights.numel(), _BLOCK).reshape(weights.shape))
    return Requantization(rule, numbers, factor)


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
