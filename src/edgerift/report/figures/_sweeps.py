"""Defences of answers over their strengths: the cost to the owner and the effect on an attacker, by distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from edgerift.defend import SweepPoint
from edgerift.facts import Facts
from edgerift.harden import DefendPoint
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.shared._comparisons import lone
from edgerift.report.shared._plots import (
    SOFT_INK,
    WIDTH,
    Look,
    label,
    legend,
    mark_key,
    new_figure,
    palette,
    whiskers,
)
from edgerift.report.shared._words import figure as written
from edgerift.report.shared._words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BUDGET: Final = (0, (1, 1.6))


Points: TypeAlias = Sequence[SweepPoint] | Sequence[DefendPoint]


class _Panel(NamedTuple):
    title: str
    unit: str
    field: str
    scale: float = 100.0


_OWNER: Final = (
    _Panel("Defender's error", "wrong answers (%)", "error"),
    _Panel("Changed labels", "another label than clean (%)", "changed"),
    _Panel("Calibration", "expected calibration error (%)", "ece"),
    _Panel("Likelihood", "negative log-likelihood (nats)", "nll", 1.0),
)
_THIEF: Final = (
    _Panel("Adversary's error", "the clone's wrong answers (%)", "adversary_error"),
    _Panel("Disagreement", "clone and victim differ (%)", "disagreement"),
)


@study_figure(
    "sweeps",
    78,
    "Cost of each strength",
    "The defences of answers over their published strengths, on the plain QAT build's answers to the validation "
    "images. Hollow marks exceed the allowed distance.",
    place="theft",
)
def sweeps(found: Facts) -> Chart | None:
    """Draw the sweeps of a lone comparison."""
    hardening = lone(found)
    if hardening is None or not hardening.sweeps:
        return None
    swept, allowed = hardening.sweeps, hardening.allowance.l1
    return Chart(lambda _: draw_sweeps(swept, allowed), lambda _: sweep_words(swept))


def sweep_words(swept: Mapping[str, Points]) -> str:
    """Give each defence's range."""
    ranges = (
        f"{name}: from l1 {points[0].l1:.3f} and error {percent(points[0].error)} at strength "
        f"{written(float(points[0].strength))} to l1 {points[-1].l1:.3f} and error {percent(points[-1].error)} at "
        f"{written(float(points[-1].strength))}"
        for name, points in swept.items()
        if points
    )
    return f"{'; '.join(ranges)}."


def draw_sweeps(swept: Mapping[str, Points], budget_l1: float) -> Figure:
    """Draw the effect of each defence by mean l1 distance; where strengths were attacked, the attacker's results too.

    Strengths within `budget_l1` have filled marks.
    """
    look = palette(tuple(swept))
    every = [point for points in swept.values() for point in points]
    thief = [panel for panel in _THIEF if any(getattr(point, panel.field, None) is not None for point in every)]
    panels = [*_OWNER, *thief]
    figure, axes = new_figure(WIDTH, 0.6 + 2.6 * len(panels) / 2, -(-len(panels) // 2), 2)
    for one, panel in zip(axes, panels, strict=False):
        label(one, panel.title, "mean l1 to the clean answers", panel.unit)
        for name, points in swept.items():
            _curve(one, panel, points, look[name], budget_l1)
        one.axvline(budget_l1, color=SOFT_INK, linewidth=1.1, linestyle=_BUDGET, zorder=1)
        one.margins(x=0.04, y=0.08)
    for one in axes[len(panels) :]:
        one.set_visible(False)
    legend(figure, _keys(look), loc="outside lower left", ncols=5)
    return figure


def _curve(axes: Axes, panel: _Panel, points: Points, look: Look, budget_l1: float) -> None:
    known = [point for point in points if getattr(point, panel.field, None) is not None]
    values = [_value(point, panel) for point in known]
    axes.plot(
        [point.l1 for point in known], [value for value, _, _ in values], color=look.colour, linewidth=1.3, zorder=2
    )
    for point, (value, below, above) in zip(known, values, strict=True):
        fill = look.colour if point.l1 <= budget_l1 else "white"
        axes.errorbar(
            point.l1, value, yerr=[[below], [above]], color=look.colour, marker=look.marker, markersize=look.size - 1,
            markerfacecolor=fill, markeredgewidth=1.2, elinewidth=1.1, zorder=3,
        )  # fmt: skip


def _value(point: SweepPoint | DefendPoint, panel: _Panel) -> tuple[float, float, float]:
    found = getattr(point, panel.field)
    return (panel.scale * found, 0.0, 0.0) if isinstance(found, float | int) else whiskers(found)


def _keys(look: Mapping[str, Look]) -> list[Any]:
    from matplotlib.lines import Line2D

    names = [mark_key(one, name) for name, one in look.items()]
    return [*names, Line2D([], [], linestyle=_BUDGET, color=SOFT_INK, linewidth=1.1, label="l1 that was allowed")]
