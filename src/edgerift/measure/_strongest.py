"""The strongest setting within a budget, when each trial is expensive and the cost may jump."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgerift.errors import InputError


def strongest(
    cost: Callable[[float], float],
    *,
    low: float,
    high: float,
    budget: float,
    steps: int,
    geometric: bool = False,
    enough: float = math.inf,
) -> float | None:
    """Find the largest tried strength in [`low`, `high`] that costs at most `budget`.

    `cost` is assumed to increase with the strength, smoothly or in a jump. Both ends are tried, then at most `steps`
    times the midpoint of the bracket (the geometric one when `geometric`), until one within the budget costs at least
    `enough`. The result was itself tried and within the budget, whatever the shape of `cost`; None when not even `low`
    is, and then nothing else is tried. A `high` within the budget ends the search too. Raises `InputError` for a
    bracket that is empty or not finite, or steps below 0.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (geometric and low <= 0) or steps < 0:
        needed = "0 < low < high" if geometric else "low < high"
        raise InputError(f"a search from {low} to {high} in {steps} steps; needed: finite {needed}, steps >= 0")
    # A cost that is NaN exceeds every budget.
    paid = cost(low)
    if not paid <= budget:
        return None
    if cost(high) <= budget:
        return high
    for _ in range(steps):
        if paid >= enough:
            break
        middle = (low * high) ** 0.5 if geometric else (low + high) / 2
        asked = cost(middle)
        if asked <= budget:
            low, paid = middle, asked
        else:
            high = middle
    return low
