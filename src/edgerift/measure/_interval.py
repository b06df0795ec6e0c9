"""Rates and means as plain numbers with their intervals, as documents hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgerift.measure._rate import Rate
from edgerift.settings import Settings

if TYPE_CHECKING:
    from edgerift.measure._posteriors import Mean


class Interval(Settings):
    """A share in [0, 1] with its exact 95 % interval (Clopper-Pearson) and its counts."""

    value: float
    low: float
    high: float
    successes: int
    trials: int


class MeanInterval(Settings):
    """A mean over `count` images with its 95 % interval of 1.96 standard errors."""

    value: float
    low: float
    high: float
    count: int


def interval(rate: Rate) -> Interval:
    """Write a rate as plain numbers."""
    return Interval(value=rate.value, low=rate.low, high=rate.high, successes=rate.successes, trials=rate.trials)


def mean_interval(mean: Mean) -> MeanInterval:
    """Write a mean as plain numbers."""
    return MeanInterval(value=mean.value, low=mean.low, high=mean.high, count=mean.count)


def rate_of(part: Interval) -> Rate:
    """Read a rate back from plain numbers."""
    return Rate(part.successes, part.trials)
