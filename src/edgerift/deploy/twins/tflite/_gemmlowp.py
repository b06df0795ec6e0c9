"""Functions of fixed-point numbers that TensorFlow Lite's reference softmax is made of, on raw int64 tensors.

A number with `i` integer bits stands for `raw / 2^(31 - i)`. The polynomial and Newton's iteration are those of the
gemmlowp library (github.com/google/gemmlowp, fixedpoint.h).
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.twins.tflite._fixed_point import shifted

_ONE: Final = 2**31 - 1
_LOWEST: Final = -(2**31)
#: exp(-1/8), and a third, with no integer bits.
_EIGHTH: Final = 1895147668
_THIRD: Final = 715827883
#: exp(-2^k) for k from -2 to 4.
_POWERS: Final = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
#: 48/17 and -32/17 with two integer bits: the best straight line for 1/x between 0.5 and 1.
_LINE: Final = (1515870810, -1010580540)
_INPUT_FRACTION: Final = 26  # Of 5 integer bits.


def product(first: Tensor, second: Tensor | int) -> Tensor:
    """The upper half of twice a product, rounded half up; integer bits add up."""
    return ((first * second + (1 << 30)) >> 31).clamp_max(_ONE)


def _raised(value: Tensor, bits: int) -> Tensor:
    return (value << bits).clamp(_LOWEST, _ONE)


def _lowered(value: Tensor, bits: int) -> Tensor:
    return shifted(value, torch.full((), bits, device=value.device))


def exponential(value: Tensor) -> Tensor:
    """exp of numbers up to 0 with 5 integer bits; the result has none."""
    quarter = 1 << (_INPUT_FRACTION - 2)
    inner = (value & (quarter - 1)) - quarter
    result = _exponential_near_zero(_raised(inner, 5))
    rest = inner - value
    for exponent, power in zip(range(-2, 5), _POWERS, strict=True):
        bit = 1 << (_INPUT_FRACTION + exponent)
        result = torch.where((rest & bit) != 0, product(result, power), result)
    return torch.where(value == 0, torch.full_like(result, _ONE), result)


def _exponential_near_zero(value: Tensor) -> Tensor:
    """exp between -1/4 and 0, by a Taylor polynomial around -1/8."""
    near = value + (1 << 28)
    square = product(near, near)
    cube, fourth = product(square, near), product(square, square)
    tail = _lowered(product(_lowered(fourth, 2) + cube, _THIRD) + square, 1)
    return (_EIGHTH + product(near + tail, _EIGHTH)).clamp(_LOWEST, _ONE)


def reciprocal(total: Tensor) -> tuple[Tensor, Tensor]:
    """1 / total of numbers with 12 integer bits: a factor without integer bits, and by how many bits to shift more."""
    bits = total.double().log2().floor().long() + 1
    headroom = 32 - bits
    shifted_total = (total << headroom) - (1 << 31)
    return _reciprocal_above_one(shifted_total), 12 - headroom


def _reciprocal_above_one(value: Tensor) -> Tensor:
    """1 / (1 + value) for values between 0 and 1, by Newton's iteration."""
    half = (value + _ONE + 1) // 2
    found = _LINE[0] + product(half, _LINE[1])
    for _ in range(3):
        rest = (1 << 29) - product(half, found)
        found = found + _raised(product(found, rest), 2)
    return _raised(found, 1)
