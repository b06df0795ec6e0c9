"""What a defence may cost."""

from __future__ import annotations

import math
from typing import Self

from pydantic import Field, model_validator

from edgerift.settings import Settings, TimesOrNone, is_none


class Allowance(Settings):
    """The budget of a defence, on the validation images.

    `l1` bounds the mean l1 distance, in [0, 2], of its answers to those of the plain quantization-aware model;
    `accuracy_drop` bounds the loss of top-1 accuracy against it, where it is a number. The strengths tried lie between
    `low` and `high`: `low`, then `high` if `low` is allowed, then bisections if `high` is not, until an allowed
    strength moves the answers by the share `reached` of `l1`, or until the strongest allowed and the weakest refused
    are less than `bracket` apart; `steps` bounds their number. Raises :class:`~edgerift.errors.RecipeError` when `low`
    is not below `high`.
    """

    l1: float = Field(default=0.6, gt=0, le=2)
    accuracy_drop: float | None = Field(default=0.05, ge=0, le=1)
    low: float = Field(default=0.0, ge=0)
    high: float = Field(default=2.0, gt=0)
    reached: float = Field(default=0.8, gt=0, le=1)
    bracket: float = Field(default=0.01, gt=0)
    steps: TimesOrNone | None = Field(default=None, exclude_if=is_none)

    @model_validator(mode="after")
    def _is_a_bracket(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; low must be below high")
        return self

    @property
    def most_steps(self) -> int:
        """The greatest number of bisections, after which the bracket is narrow enough."""
        needed = max(0, math.floor(math.log2((self.high - self.low) / self.bracket)) + 1)
        return needed if self.steps is None else min(self.steps, needed)
