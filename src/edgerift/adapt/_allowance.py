"""What a defence may cost."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from edgerift.settings import Settings, TimesOrNone


class Allowance(Settings):
    """The budget of a defence, on the validation images.

    `l1` bounds the mean l1 distance, in [0, 2], of its answers to those of the plain quantization-aware model;
    `accuracy_drop` bounds the loss of top-1 accuracy against it. The strengths tried lie between `low` and `high`:
    `low`, then `high` if `low` is allowed, then `steps` bisections if `high` is not. Raises
    :class:`~edgerift.errors.RecipeError` when `low` is not below `high`.
    """

    l1: float = Field(default=0.6, gt=0, le=2)
    accuracy_drop: float = Field(default=0.05, ge=0, le=1)
    low: float = Field(default=0.0, ge=0)
    high: float = Field(default=2.0, gt=0)
    steps: TimesOrNone = 6

    @model_validator(mode="after")
    def _is_a_bracket(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; low must be below high")
        return self
