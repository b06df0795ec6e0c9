"""DivQAT over alpha: what the search tried, where theory puts the jump, and the paper's figures 4 to 6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.adapt import Search
from edgerift.harden import AlphaPoint, Hardening
from edgerift.measure import Interval
from edgerift.report.shared._plot_scales import decades, strengths
from edgerift.report.shared._plots import INK, SOFT_INK, WIDTH, label, legend, new_figure, png, whiskers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SEARCHED: Final = "#0072b2"
_TESTED: Final = "#c2410c"
_OWNER: Final = "#0072b2"
_DASHES: Final = (0, (5, 3))
_DOTS: Final = (0, (1, 1.6))


class _Series(NamedTuple):
    """What a panel shows of the search and, where it was measured there too, of the test images."""

    title: str
    unit: str
    trial: str
    point: str | None
    scale: float


_PANELS: Final = (
    _Series("Distance", "l1 to the plain QAT build", "l1", "l1", 1.0),
    _Series("Divergence (the paper's figure 6)", "KL(quantized || original), nats", "divergence", "divergence", 1.0),
    _Series("Accuracy", "right answers (%)", "accuracy", None, 100.0),
    _Series("Changed labels", "another label than QAT's (%)", "changed", None, 100.0),
)


def has_alphas(hardening: Hardening) -> bool:
    """Tell whether there is anything to draw over alpha."""
    return "divqat" in hardening.searches or bool(hardening.alphas)


def alpha_png(hardening: Hardening) -> bytes:
    """Draw distance, divergence, accuracy and changed labels over alpha; with `alphas` errors and disagreement too."""
    search = hardening.searches.get("divqat")
    points = hardening.alphas
    shown = [panel for panel in _PANELS if search is not None or panel.point is not None]
    rows = -(-len(shown) // 2) + bool(points)
    figure, axes = new_figure(WIDTH, 0.7 + 2.6 * rows, rows, 2)
    for one, panel in zip(axes, shown, strict=False):
        _panel(one, panel, search, points)
    if points:
        _errors(axes[-2], points)
        _disagreement(axes[-1], points)
    lines = _verticals(hardening)
    known = _strengths(hardening)
    for one in axes:
        for place, dashes, colour, _ in lines:
            one.axvline(place, color=colour, linewidth=1.2, linestyle=dashes, zorder=1)
        strengths(one, known)
    legend(figure, _keys(search, points, lines), loc="outside lower left", ncols=4)
    return png(figure)


def _panel(axes: Axes, panel: _Series, search: Search | None, points: Sequence[AlphaPoint]) -> None:
    label(axes, panel.title, "alpha", panel.unit)
    values: list[float] = []
    if search is not None:
        found = [(trial.strength, panel.scale * getattr(trial, panel.trial), trial.allowed) for trial in search.trials]
        values += [value for _, value, _ in found]
        axes.plot([x for x, _, _ in found], values, color=_SEARCHED, linewidth=1.3, zorder=2)
        for x, value, allowed in found:
            fill = _SEARCHED if allowed else "white"
            axes.plot(x, value, "o", color=_SEARCHED, markerfacecolor=fill, markersize=6, markeredgewidth=1.3, zorder=3)
        _bounds(axes, panel.trial, search)
    if panel.point is not None and points:
        tested = [getattr(point, panel.point) for point in points]
        values += tested
        axes.plot([point.alpha for point in points], tested, "-s", color=_TESTED, linewidth=1.3, markersize=5, zorder=3)
    axes.margins(y=0.08)
    if panel.trial in ("l1", "divergence"):
        decades(axes, values)


def _bounds(axes: Axes, name: str, search: Search) -> None:
    """Draw what was allowed, and what another seed would do."""
    if name == "l1":
        axes.axhline(search.floor, color=SOFT_INK, linewidth=1.1, linestyle=_DASHES, zorder=1)
        axes.axhline(search.allowance.l1, color=SOFT_INK, linewidth=1.1, linestyle=_DOTS, zorder=1)
    if name == "accuracy":
        least = search.reference_accuracy - search.allowance.accuracy_drop
        axes.axhline(100 * least, color=SOFT_INK, linewidth=1.1, linestyle=_DOTS, zorder=1)


def _errors(axes: Axes, points: Sequence[AlphaPoint]) -> None:
    label(axes, "Errors (the paper's figure 4)", "alpha", "error on the test images (%)")
    _curve(axes, points, [point.adversary_error for point in points], _TESTED, "s")
    _curve(axes, points, [point.defender_error for point in points], _OWNER, "^")


def _disagreement(axes: Axes, points: Sequence[AlphaPoint]) -> None:
    label(axes, "Disagreement (the paper's figure 5)", "alpha", "clone and victim differ (%)")
    _curve(axes, points, [point.disagreement for point in points], _TESTED, "s")


def _curve(axes: Axes, points: Sequence[AlphaPoint], shares: Sequence[Interval], colour: str, marker: str) -> None:
    values, below, above = zip(*map(whiskers, shares), strict=True)
    axes.errorbar(
        [point.alpha for point in points], values, yerr=[below, above], color=colour, marker=marker, markersize=5,
        linewidth=1.3, elinewidth=1.1, zorder=3,
    )  # fmt: skip


def _verticals(hardening: Hardening) -> list[tuple[float, Any, str, str]]:
    """List the vertical lines: place, dashes, colour and name."""
    form = hardening.closed_form
    lines: list[tuple[float, Any, str, str]] = []
    if form is not None:
        lines.append((form.appears, _DOTS, "#00855f", "theory: a poisoned optimum appears"))
        lines.append((form.flips, _DASHES, "#00855f", "theory: labels turn"))
    if hardening.alpha is not None and hardening.alpha > 0:
        lines.append((hardening.alpha, "-", INK, f"chosen: alpha {hardening.alpha:.4g}"))
    return lines


def _strengths(hardening: Hardening) -> list[float]:
    """List every alpha that a panel shows: those tried, those tested and those of the vertical lines."""
    search = hardening.searches.get("divqat")
    tried = [trial.strength for trial in (search.trials if search else ())]
    return [*tried, *(point.alpha for point in hardening.alphas), *(place for place, *_ in _verticals(hardening))]


def _keys(
    search: Search | None, points: Sequence[AlphaPoint], lines: Sequence[tuple[float, Any, str, str]]
) -> list[Any]:
    from matplotlib.lines import Line2D

    keys: list[Any] = []
    if search is not None:
        own: dict[str, Any] = {"color": _SEARCHED, "marker": "o", "markersize": 6, "linewidth": 1.3}
        keys.append(Line2D([], [], label="allowed, validation images", **own))
        keys.append(Line2D([], [], label="not allowed", markerfacecolor="white", **own))
        keys.append(Line2D([], [], color=SOFT_INK, linewidth=1.1, linestyle=_DASHES, label="two seeds of plain QAT"))
        keys.append(Line2D([], [], color=SOFT_INK, linewidth=1.1, linestyle=_DOTS, label="what is allowed"))
    if points:
        shared: dict[str, Any] = {"markersize": 5, "linewidth": 1.3}
        keys.append(Line2D([], [], color=_TESTED, marker="s", label="test images; in figure 4: thief", **shared))
        keys.append(Line2D([], [], color=_OWNER, marker="^", label="in figure 4: owner", **shared))
    keys += [
        Line2D([], [], color=colour, linewidth=1.2, linestyle=dashes, label=text) for _, dashes, colour, text in lines
    ]
    return keys
