"""TensorFlow Lite's hard swish on 8-bit integers, in fixed point of 16 bits."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.twins.tflite._fixed_point import fixed_multiplier, shifted

_LOW, _HIGH = -(2**15), 2**15 - 1
#: The scale on which 3 is one more than the largest number of 16 bits.
_REAL_THREE: Final = np.float32(3.0) / np.float32(32768.0)


def hard_swish_levels(levels: Tensor, scale: float, result: float) -> Tensor:
    """Compute `x * clip(x + 3, 0, 6) / 6` of levels int64 counted from the zero point, on the result's scale."""
    fine = np.float32(scale) * np.float32(1.0 / 128.0)
    multiplier, exponent = _in_16_bits(float(fine / np.float32(result)))
    gate_multiplier, gate_exponent = _in_16_bits(float(fine / _REAL_THREE))
    raised = levels * 128
    on_result = _rounded_product(raised, multiplier)
    gate = raised
    if gate_exponent > 0:
        gate = (gate << (gate_exponent - 1)).clamp(_LOW, _HIGH)
    gate = _rounded_product(gate, gate_multiplier)
    if gate_exponent > 0:
        gate = (gate << 1).clamp(_LOW, _HIGH)
    if gate_exponent < 0:
        gate = shifted(gate, torch.tensor(-gate_exponent))
    gate = (gate + 2**15) >> 1
    gated = torch.div(gate * on_result, 2**15, rounding_mode="trunc")
    return shifted(gated, torch.tensor(-exponent))


def _rounded_product(value: Tensor, multiplier: int) -> Tensor:
    return ((value * multiplier + 2**14) >> 15).clamp(_LOW, _HIGH)


def _in_16_bits(factor: float) -> tuple[int, int]:
    """The multiplier of 15 bits and the exponent of a factor."""
    multiplier, exponent = fixed_multiplier(factor)
    return min((multiplier + 2**15) >> 16, _HIGH), exponent
