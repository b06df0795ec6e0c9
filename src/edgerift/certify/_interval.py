"""Intervals of real numbers that contain what they should whatever float64 rounds away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

#: More than one float64 operation and the conversion of its result round by, relative to the result.
_OUTWARD: Final = 2.0**-50
#: What a sum of products in float32 may be wrong by for each of its terms, relative to the sum of their magnitudes,
#: with a margin of two; and the rounding of what is nearly zero.
_TERM: Final = 2.0**-23
_SMALLEST: Final = 2.0**-125


@final
@dataclass(frozen=True)
class Interval:
    """Bounds `low <= value <= high`, float64 of one shape; each operation rounds them outwards."""

    low: Tensor
    high: Tensor

    @staticmethod
    def point(value: Tensor) -> Interval:
        """The interval of one value, which float64 holds exactly."""
        exact = value.double()
        return Interval(exact, exact)

    def map(self, function: Callable[[Tensor], Tensor]) -> Interval:
        """Apply a function that moves or chooses values, or does not fall: it is exact in float64."""
        return Interval(function(self.low), function(self.high))

    def rounded(self) -> Interval:
        """Widen by more than one float64 operation rounds by; zero stays zero."""
        return Interval(
            torch.sub(self.low, self.low.abs(), alpha=_OUTWARD), torch.add(self.high, self.high.abs(), alpha=_OUTWARD)
        )

    def widened(self, by: Tensor | float) -> Interval:
        """Widen on both sides by a number that is not negative."""
        return Interval(self.low - by, self.high + by).rounded()

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high).rounded()

    def __sub__(self, other: Interval) -> Interval:
        return Interval(self.low - other.high, self.high - other.low).rounded()

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def times(self, other: Interval) -> Interval:
        """Multiply by values that do not depend on these."""
        corners = [one * two for one in (self.low, self.high) for two in (other.low, other.high)]
        every = torch.stack(corners)
        return Interval(every.amin(0), every.amax(0)).rounded()

    def scaled(self, factor: Tensor) -> Interval:
        """Multiply by known numbers."""
        ends = self.low * factor, self.high * factor
        return Interval(torch.minimum(*ends), torch.maximum(*ends)).rounded()

    def within(self, other: Interval) -> Interval:
        """Intersect with bounds of the same values."""
        return Interval(torch.maximum(self.low, other.low), torch.minimum(self.high, other.high))

    @property
    def magnitude(self) -> Tensor:
        """The largest absolute value."""
        return torch.maximum(self.low.abs(), self.high.abs())

    def combined(self, weight: Tensor, combine: Callable[[Tensor, Tensor], Tensor], terms: int) -> Interval:
        """Combine linearly: `combine(values, weight)` is a sum of `terms` products for each result.

        With the centre c and the radius r the result lies in `W c +- |W| r`. Both are computed in float32, which is
        many times faster; what that rounds away is part of the radius.
        """
        centre = (self.low + self.high) / 2
        radius = torch.maximum(self.high - centre, centre - self.low)
        relative = (terms + 8) * _TERM
        reach = radius + (centre.abs() + radius) * relative
        middle = combine(centre.float(), weight.float()).double()
        spread = combine(reach.float(), weight.float().abs()).double() * (1 + relative)
        if bool(reach.any()):
            spread = spread + terms * _SMALLEST
        return Interval(middle - spread, middle + spread).rounded()
