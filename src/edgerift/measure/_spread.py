"""Means over seeds, with the confidence interval for few values."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from edgerift.errors import InputError
from edgerift.settings import Settings


class Spread(Settings):
    """A mean over `count` trainings with its 95 % interval of Student's t, and its values.

    `low` and `high` are None for a single value, which gives no variance between seeds.
    """

    value: float
    low: float | None
    high: float | None
    count: int
    values: tuple[float, ...]


def spread(values: Sequence[float]) -> Spread:
    """Average values that differ only in their seed: mean +- t(0.975, n - 1) s / sqrt(n), s of n - 1 degrees.

    Differences of two victims of the same seed are averaged in the same way, which is the paired t-interval. Raises
    :class:`~edgerift.errors.InputError` without values, and for values that are not finite.

    >>> found = spread([1.0, 2.0, 3.0])
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (2.0, -0.484, 4.484)
    """
    if not values:
        raise InputError("a mean of 0 values; at least 1 seed is needed")
    from scipy.special import stdtrit

    given = tuple(map(float, values))
    wrong = [value for value in given if not math.isfinite(value)]
    if wrong:
        raise InputError(f"a mean of values with {wrong[0]} among them; they must be finite")
    # Exact sums: equal values have an interval of no width.
    mean, count = statistics.mean(given), len(given)
    if count == 1:
        return Spread(value=mean, low=None, high=None, count=1, values=given)
    half = float(stdtrit(count - 1, 0.975)) * math.sqrt(statistics.variance(given) / count)
    return Spread(value=mean, low=mean - half, high=mean + half, count=count, values=given)
