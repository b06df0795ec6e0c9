"""Fixed-point multiplication as TensorFlow Lite's own kernels do it, on whole numbers in int64.

A real factor becomes a multiplier `m` of 31 bits and an exponent `e`: `m * 2^(e - 31)`. The product is rounded to 31
bits, half up, and then shifted with a second rounding: in vector instructions its ties go up, elsewhere away from zero.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

_BITS: Final = 31


def fixed_multiplier(factor: float) -> tuple[int, int]:
    """Return the multiplier and the exponent of a factor, a double that is at least 0.

    >>> fixed_multiplier(0.75), fixed_multiplier(0.0)
    ((1610612736, 0), (0, 0))
    """
    fraction, exponent = math.frexp(factor)
    multiplier = math.floor(fraction * (1 << _BITS) + 0.5)
    if multiplier == 1 << _BITS:
        multiplier, exponent = multiplier // 2, exponent + 1
    return (0, 0) if exponent < -_BITS else (multiplier, exponent)


def fixed_multipliers(factors: Tensor, away: Tensor | bool = True) -> list[Tensor]:
    """The numbers that `multiplied` takes, int64 of the shape of factors in float64; see `shifted`.

    They are the multiplier with its left shift, the right shift, half of the divisor, and -1 where that is taken from
    numbers below zero.
    """
    pairs = [fixed_multiplier(factor) for factor in factors.flatten().tolist()]
    multiplier, exponent = (torch.tensor(part).reshape(factors.shape) for part in zip(*pairs, strict=True))
    right = (-exponent).clamp_min(0)
    below = -((right > 0) & away).long()
    return [multiplier << exponent.clamp_min(0), right, (torch.ones_like(right) << right) >> 1, below]


def multiplied(value: Tensor, multiplier: Tensor, right: Tensor, half: Tensor, below: Tensor) -> Tensor:
    """Multiply whole numbers int64, which are overwritten, by fixed-point numbers that broadcast against them."""
    value.mul_(multiplier).add_(1 << (_BITS - 1)).bitwise_right_shift_(_BITS)
    if bool(below.any()):
        value.add_((value >> 63).bitwise_and_(below))
    return value.add_(half).bitwise_right_shift_(right)


def multiplied_by(value: Tensor, factor: tuple[int, int], away: Tensor | bool = True) -> Tensor:
    """Multiply whole numbers int64 by one fixed-point number, a multiplier and an exponent; see `shifted`."""
    multiplier, exponent = factor
    high = ((value << max(exponent, 0)) * multiplier + (1 << (_BITS - 1))) >> _BITS
    return shifted(high, value.new_tensor(max(-exponent, 0)), away)


def shifted(value: Tensor, right: Tensor, away: Tensor | bool = True) -> Tensor:
    """Divide whole numbers by powers of two, to the nearest; ties go away from zero where `away` says so, else up."""
    half = (torch.ones_like(right) << right) >> 1
    return (value + half - ((value < 0) & (right > 0) & away).long()) >> right


def half_away(value: Tensor) -> Tensor:
    """Round real numbers, ties away from zero."""
    return value.sign() * (value.abs() + 0.5).floor()


def outside_blocks(count: int, size: int) -> Tensor:
    """Mark those of `count` channels that are left over by blocks of a size, which a vector instruction computes."""
    return torch.arange(count) >= count // size * size
