"""What several seeds say together in a figure: marks with whiskers, and which intervals these are."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from edgerift.facts import Facts, Pooled
from edgerift.facts import readings as of
from edgerift.report.shared._plots import SOFT_INK, Look
from edgerift.report.shared._words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def seed_counts(found: Facts, *fields: str) -> frozenset[int]:
    """Count the seeds that the points of a figure are made of, which differ in the fields besides data and original."""
    return frozenset(len(own.distinct("seed")) for own in found.by("data", "original", *fields).values())


def pair_counts(found: Facts) -> frozenset[int]:
    """Count the seeds of attacked pairs."""
    return seed_counts(found.of(of.ADAPTED_ACCURACY), "victim")


def theft_counts(found: Facts) -> frozenset[int]:
    """Count the seeds of comparisons of victims."""
    return seed_counts(found.of(of.NOISE), "target")


def data_free_counts(found: Facts) -> frozenset[int]:
    """Count the seeds of data-free attacks."""
    return seed_counts(found.of(of.DATA_FREE_ERROR), "attack")


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


def mark(axes: Axes, x: float | Pooled, y: Pooled, look: Look, *, hollow: bool = False, size: float = 0.0) -> None:
    """Draw a mark with its whiskers; figures are drawn as they are, shares have to be in percent before."""
    reach: dict[str, Any] = {"yerr": _reach(y)}
    if isinstance(x, Pooled):
        reach["xerr"] = _reach(x)
    axes.errorbar(
        x.value if isinstance(x, Pooled) else x, y.value, **reach, color=look.colour, marker=look.marker,
        markersize=size or look.size, markerfacecolor="white" if hollow else look.colour, markeredgewidth=1.2,
        elinewidth=1.1, capsize=0, zorder=3,
    )  # fmt: skip


def share_words(found: Pooled) -> str:
    """Write a share in percent with its interval."""
    low, high = found.ends
    return f"{percent(found.value)} ({100 * low:.1f} to {100 * high:.1f})"


def whisker_key(counts: Collection[int]) -> Any:
    """Make the legend's key of the whiskers."""
    from matplotlib.lines import Line2D

    shared: dict[str, Any] = {"color": SOFT_INK, "linestyle": "", "marker": "|", "markersize": 11}
    return Line2D([], [], label=whisker_words(counts), **shared)


def _reach(found: Pooled) -> list[list[float]]:
    low, high = found.ends
    return [[max(0.0, found.value - low)], [max(0.0, high - found.value)]]
