"""From the figures of several seeds to a cell: their mean with Student's interval, or one seed's own interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from edgerift.measure import Interval, MeanInterval, spread
from edgerift.report.tables._table import Number
from edgerift.study import Study

_EQUAL: Final = 1e-12


def shares(parts: Sequence[Interval | None], planned: int) -> Number | None:
    """Average shares in [0, 1] into percent; None among them are seeds without a figure.

    None comes back without any. `planned` is the number of seeds that the row is made of.
    """
    known = [part for part in parts if part is not None]
    found = average([100 * part.value for part in known], planned, kind="share", within=(0.0, 100.0))
    own = images_interval(known)
    return found if found is None or own is None else replace(found, low=100 * own.low, high=100 * own.high)


def means(parts: Sequence[MeanInterval | None], planned: int, decimals: int = 3) -> Number | None:
    """Average means over images, all of them 0 or more, like shares."""
    known = [part for part in parts if part is not None]
    found = average([part.value for part in known], planned, decimals, within=(0.0, math.inf))
    own = images_interval(known)
    return found if found is None or own is None else replace(found, low=own.low, high=own.high)


def images_interval(parts: Sequence[Interval | MeanInterval]) -> Interval | MeanInterval | None:
    """Choose the interval of the images that stands for several seeds; None where the seeds' own spread does.

    A single seed has none, and that of seeds that agree is no measure of anything. Of seeds that agree the widest is
    chosen, which is that of the fewest images: no other is wide enough for all of them.
    """
    values = [part.value for part in parts]
    if not values or max(values) - min(values) > _EQUAL:
        return None
    return max(parts, key=lambda part: part.high - part.low)


def average(
    values: Sequence[float | None],
    planned: int,
    decimals: int = 1,
    kind: Literal["share", "points", "plain"] = "plain",
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Number | None:
    """Average figures in the unit of their column; the interval is cut where no figure can lie, outside `within`."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    found = spread(known)
    low = None if found.low is None else max(within[0], found.low)
    high = None if found.high is None else min(within[1], found.high)
    return Number(found.value, low, high, kind, decimals, seeds_note(len(known), planned))


def difference(first: dict[int, Interval], second: dict[int, Interval], planned: int) -> Number | None:
    """Average `first` - `second`, seed by seed, in points: the paired interval. Both are by seed."""
    points = [100 * (part.value - second[seed].value) for seed, part in first.items() if seed in second]
    return average(points, planned, kind="points")


def seeds_note(count: int, planned: int) -> str:
    """Say over how many seeds a figure is, where it is not over all of them."""
    return "" if count == planned else f"{count} of {planned} seeds"


def seeds_words(count: int, planned: int) -> str:
    """Write how many seeds a row is over."""
    return str(count) if count == planned else f"{count} of {planned}"


#: What marks the intervals in tables.
_BRACKETS: Final = "Brackets, square around shares and their differences and round around other quantities"


def interval_words(study: Study, marks: str = _BRACKETS) -> str:
    """Say what the brackets are, or whatever the intervals are marked by."""
    exact = "the exact 95 % interval of the images (Clopper-Pearson; 1.96 standard errors for l1)"
    if len(study.seeds) == 1:
        return f"{marks}: {exact}; one seed says nothing of how far another would lie."
    return (
        f"Figures are means over {len(study.seeds)} seeds. {marks}: the 95 % interval of such a mean, of Student's t "
        "with n - 1 degrees of freedom, cut where no figure can lie. A single seed, and seeds that agree exactly, have "
        f"{exact}, where there is one."
    )
