"""What a victim costs its owner against what it costs its thieves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from edgerift.harden import Hardening, VariantPart
from edgerift.measure import Interval
from edgerift.report.shared._plots import (
    SOFT_INK,
    WIDTH,
    Look,
    label,
    legend,
    looks,
    mark_key,
    new_figure,
    png,
    whiskers,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS: Final = 3
_SOFT: Final = "-"
_HARD: Final = (0, (4, 3))
_BUDGET: Final = (0, (1, 1.6))


def tradeoff_png(hardening: Hardening) -> bytes:
    """Draw the adversary's error over l1 and over the defender's error, for soft and hard labels, with intervals.

    Every mark stands at its own figures, so some lie over others; each victim's two marks are in one column.
    """
    victims = hardening.victim
    look = looks(tuple(victims))
    rows = -(-len(victims) // _COLUMNS)
    figure, (left, right) = new_figure(WIDTH, 4.6 + 0.2 * rows, 1, 2, sharey=True)
    _panel(left, victims, look, [part.l1.value for part in victims.values()], budget=hardening.allowance.l1)
    _panel(right, victims, look, [100 * part.defender_error.value for part in victims.values()], budget=None)
    label(left, "Against the distance of the answers", "l1 to the plain QAT build's answers", "adversary's error (%)")
    label(right, "Against what it costs the owner", "defender's error (%)")
    left.set_ylim(bottom=max(0.0, left.get_ylim()[0]))
    keys = [mark_key(look[name], part.title) for name, part in victims.items()]
    legend(figure, keys, loc="outside lower left", ncols=_COLUMNS)
    legend(figure, _kinds(), loc="outside upper left", ncols=3)
    return png(figure)


def _panel(
    axes: Axes,
    victims: Mapping[str, VariantPart],
    look: Mapping[str, Look],
    places: Sequence[float],
    budget: float | None,
) -> None:
    for place, (name, part) in zip(places, victims.items(), strict=True):
        _mark(axes, place, part.adversary_error.soft, look[name], look[name].colour)
        _mark(axes, place, part.adversary_error.hard, look[name], "white")
    undefended = victims.get("qat")
    if undefended is not None:
        for interval, dashes in ((undefended.adversary_error.soft, _SOFT), (undefended.adversary_error.hard, _HARD)):
            axes.axhline(100 * interval.value, color=SOFT_INK, linewidth=0.9, linestyle=dashes, zorder=1)
    if budget is not None:
        axes.axvline(budget, color=SOFT_INK, linewidth=1.1, linestyle=_BUDGET, zorder=1)
    axes.margins(x=0.06, y=0.06)


def _mark(axes: Axes, place: float, interval: Interval, look: Look, fill: str) -> None:
    value, below, above = whiskers(interval)
    axes.errorbar(
        place, value, yerr=[[below], [above]], color=look.colour, marker=look.marker, markersize=look.size,
        markerfacecolor=fill, markeredgewidth=1.3, elinewidth=1.2, capsize=0, zorder=3,
    )  # fmt: skip


def _kinds() -> list[Any]:
    from matplotlib.lines import Line2D

    shared: dict[str, Any] = {"marker": "o", "markersize": 6.5, "color": SOFT_INK, "linewidth": 0.9}
    return [
        Line2D([], [], linestyle=_SOFT, label="soft labels; the line: undefended", **shared),
        Line2D([], [], linestyle=_HARD, markerfacecolor="white", label="hard labels; the line: undefended", **shared),
        Line2D([], [], linestyle=_BUDGET, color=SOFT_INK, linewidth=1.1, label="l1 that was allowed"),
    ]
