"""The scale and the zero point of quantized numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from edgerift.settings import Settings


class Quantization(Settings):
    """The number that a quantized `q` stands for: `(q - zero_point) * scale`.

    >>> Quantization(scale=0.5, zero_point=-1)
    Quantization(scale=0.5, zero_point=-1)
    """

    scale: Annotated[float, Field(gt=0)]
    zero_point: Annotated[int, Field(ge=-128, le=255)] = 0

    def dequantized(self, numbers: Tensor) -> Tensor:
        """Return the float32 numbers that quantized ones stand for."""
        return (numbers.float() - self.zero_point) * self.scale
