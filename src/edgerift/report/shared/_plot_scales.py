"""The scales of axes: decades, strengths, and whole numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: From how many times its least value on an axis is logarithmic.
_SPAN: Final = 30.0
_MOST_TICKS: Final = 9


def decades(axes: Axes, values: Iterable[float]) -> None:
    """Make a panel's own axis logarithmic where its values span decades, with a place for 0 where there is one."""
    known = sorted(set(values))
    positive = [value for value in known if value > 0]
    if not positive or positive[-1] < _SPAN * positive[0]:
        return
    low = 10 ** math.floor(math.log10(positive[0]))
    if len(positive) < len(known):
        axes.set_yscale("symlog", linthresh=low, linscale=0.4)
        axes.set_ylim(-0.25 * low, 1.8 * positive[-1])
    else:
        axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
    axes.yaxis.set_tick_params(which="minor", length=0)


def strengths(axes: Axes, values: Iterable[float]) -> None:
    """Make the axis of strengths logarithmic, with a place for 0 at its left where there is one."""
    from matplotlib.ticker import FixedLocator, NullLocator

    known = sorted(set(values))
    positive = [value for value in known if value > 0] or [1.0]
    least, most = positive[0], positive[-1]
    ticks = [factor * 10.0**power for power in range(-6, 4) for factor in (1, 2, 5)]
    ticks = [tick for tick in ticks if 0.8 * least <= tick <= 1.05 * most]
    if not ticks or 1.5 * ticks[-1] < most:
        ticks.append(most)
    if len(ticks) > _MOST_TICKS:
        ticks = ticks[:: -(-len(ticks) // _MOST_TICKS)]
    if known and known[0] <= 0:
        axes.set_xscale("symlog", linthresh=0.6 * least, linscale=0.3)
        axes.set_xlim(-0.12 * least, 1.35 * most)
        ticks = [0.0, *ticks]
    else:
        axes.set_xscale("log")
        axes.set_xlim(0.75 * least, 1.35 * most)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")


def whole_numbers(axes: Axes) -> None:
    """Mark whole numbers alone on the axis across."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
