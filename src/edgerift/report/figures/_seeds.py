"""What several seeds say together: means, their intervals, and the marks and whiskers that show them."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edgerift.measure import Interval, MeanInterval, spread
from edgerift.report.shared._plots import SOFT_INK, Look
from edgerift.study import DataFreeCell, PairCell, TheftCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Measured(NamedTuple):
    """A mean over `seeds` seeds with its interval, or one seed's figure with the interval of its images."""

    value: float
    low: float
    high: float
    seeds: int


def over_seeds(parts: Sequence[Interval | MeanInterval], most: float = 1.0) -> Measured:
    """Average what several seeds measured, between 0 and `most`, with the same interval as in the tables."""
    found = mean_of([part.value for part in parts], most)
    own = images_interval(parts)
    return found if own is None else found._replace(low=own.low, high=own.high)


def mean_of(values: Sequence[float], most: float = math.inf) -> Measured:
    """Average figures that have no interval of their own; of a single one nothing is known besides its value."""
    found = spread(values)
    low = found.value if found.low is None else max(0.0, found.low)
    high = found.value if found.high is None else min(most, found.high)
    return Measured(found.value, low, high, found.count)


def in_percent(found: Measured) -> Measured:
    """Write a share in percent."""
    return Measured(100 * found.value, 100 * found.low, 100 * found.high, found.seeds)


def seed_counts(
    cells: Collection[PairCell] | Collection[TheftCell] | Collection[DataFreeCell],
) -> frozenset[int]:
    """Tell how many seeds the points of a figure are made of."""
    places: dict[tuple[str, ...], int] = {}
    for cell in cells:
        key = (cell.data, cell.original, _kind(cell))
        places[key] = places.get(key, 0) + 1
    return frozenset(places.values())


def _kind(cell: PairCell | TheftCell | DataFreeCell) -> str:
    if isinstance(cell, DataFreeCell):
        return cell.attack
    return cell.adaptation if isinstance(cell, PairCell) else cell.target


def whisker_words(counts: Collection[int]) -> str:
    """Say which intervals the whiskers are.

    >>> print(whisker_words({3}))
    95 % intervals over 3 seeds (Student's t)
    >>> print(whisker_words({1}))
    95 % intervals of the images (one seed)
    """
    several = sorted(count for count in counts if count > 1)
    if not several:
        return "95 % intervals of the images (one seed)"
    span = f"{several[0]}" if len(set(several)) == 1 else f"{several[0]} to {several[-1]}"
    rest = "; of the images where there is one" if 1 in counts else ""
    return f"95 % intervals over {span} seeds (Student's t){rest}"


def mark(axes: Axes, x: float | Measured, y: Measured, look: Look, *, hollow: bool = False, size: float = 0.0) -> None:
    """Draw a mark with its whiskers; figures are drawn as they are, shares have to be in percent before."""
    reach: dict[str, Any] = {"yerr": _reach(y)}
    if isinstance(x, Measured):
        reach["xerr"] = _reach(x)
    axes.errorbar(
        x.value if isinstance(x, Measured) else x, y.value, **reach, color=look.colour, marker=look.marker,
        markersize=size or look.size, markerfacecolor="white" if hollow else look.colour, markeredgewidth=1.2,
        elinewidth=1.1, capsize=0, zorder=3,
    )  # fmt: skip


def whisker_key(counts: Collection[int]) -> Any:
    """Make the legend's key of the whiskers."""
    from matplotlib.lines import Line2D

    shared: dict[str, Any] = {"color": SOFT_INK, "linestyle": "", "marker": "|", "markersize": 11}
    return Line2D([], [], label=whisker_words(counts), **shared)


def _reach(found: Measured) -> list[list[float]]:
    return [[max(0.0, found.value - found.low)], [max(0.0, found.high - found.value)]]


def images_interval(parts: Sequence[Interval | MeanInterval]) -> Interval | MeanInterval | None:
    values = [part.value for part in parts]
    if not values or max(values) - min(values) > 1e-12:
        return None
    return max(parts, key=lambda part: part.high - part.low)
