"""DivQAT over alpha: errors, disagreement, divergence and distance (the second paper's figures 4 to 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from edgerift.adapt import Search
from edgerift.harden import AlphaPoint, VariantPart
from edgerift.report.figures._panels import Panel, first_target, line_key, panel_figure, panel_label, panels
from edgerift.report.figures._seeds import Measured, in_percent, mark, mean_of, over_seeds, seed_counts, whisker_key
from edgerift.report.records._alpha_thieves import Thief, other_thieves, taken, thief_words
from edgerift.report.shared._plot_scales import decades, strengths
from edgerift.report.shared._plots import INK, SOFT_INK, Look
from edgerift.report.shared._words import percent
from edgerift.study import StudyResult, TheftCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_THIEF: Final = Look("#c2410c", "s")
_HARD: Final = Look("#e08e00", "v")
_STUDENTS: Final = (Look("#b4428f", "D"), Look("#7b4fa3", "X"), Look("#3fa7e0", "P"), Look("#8b5e34", "h"))
_OWNER: Final = Look("#0072b2", "^")
_TESTED: Final = Look(INK, "s")
_SEARCHED: Final = "#00855f"
_DOTS: Final = (0, (1, 1.6))
_DASHES: Final = (0, (5, 3))


class _Style(NamedTuple):
    """What tells one seed's search from another's."""

    marker: str
    line: Any


_STYLES: Final = (
    _Style("o", "-"),
    _Style("^", (0, (5, 2))),
    _Style("D", (0, (1, 1.4))),
    _Style("v", (0, (5, 2, 1, 2))),
    _Style("p", (0, (9, 3))),
)


class _Drawn(NamedTuple):
    """A figure over alpha, and the same of the victim that the tables have, at the alpha chosen for its seed."""

    look: Look
    measure: Callable[[Sequence[AlphaPoint]], Measured | None]
    chosen: Callable[[VariantPart], float] | None = None


class _Quantity(NamedTuple):
    """What a panel shows; `search` names the field of a trial that it shows too."""

    title: str
    unit: str
    drawn: tuple[_Drawn, ...]
    search: str | None = None


_TRIED: Final = (
    _Quantity(
        "divergence",
        "KL(quantized || original), nats",
        (
            _Drawn(
                _TESTED,
                lambda points: mean_of([point.divergence for point in points]),
                lambda part: part.divergence.value,
            ),
        ),
        "divergence",
    ),
    _Quantity(
        "distance",
        "l1 to the plain QAT build",
        (_Drawn(_TESTED, lambda points: mean_of([point.l1 for point in points], 2.0), lambda part: part.l1.value),),
        "l1",
    ),
)


def has_alpha(result: StudyResult) -> bool:
    """Tell whether DivQAT was trained at any alpha on the first target."""
    return bool(_shown(result))


def draw_alpha(result: StudyResult) -> Figure:
    """Draw errors and disagreement where they were measured, and divergence and distance, over alpha."""
    shown = _shown(result)
    stolen = _stolen(_thieves(shown))
    order = [(panel, one) for panel in shown for one in (*(stolen if points_of(panel) else ()), *_TRIED)]
    seeds = sorted({seed for panel in shown for seed in _searches(panel)})
    figure, axes = panel_figure(len(order), 2, 2.45, _keys(shown, seeds))
    for one, (panel, quantity) in zip(axes, order, strict=True):
        panel_label(one, f"{panel.title}: {quantity.title}", "alpha", quantity.unit, 2)
        _draw(one, panel, quantity, dict(zip(seeds, cycle(_STYLES), strict=False)))
        tried = [trial.strength for search in _searches(panel).values() for trial in search.trials]
        chosen = list(_chosen(panel).values())
        strengths(one, [*tried, *points_of(panel), *chosen])
    return figure


def alpha_curve_words(result: StudyResult) -> str:
    """Give what each alpha did, what each search tried and what it chose."""
    told = []
    for panel in _shown(result):
        for alpha, points in points_of(panel).items():
            owner, thief, apart = (
                percent(over_seeds([getattr(point, field) for point in points]).value)
                for field in ("defender_error", "adversary_error", "disagreement")
            )
            told.append(
                f"{panel.title}, alpha {alpha:g}: defender's error {owner}, adversary's error {thief}, disagreement "
                f"{apart}, divergence {mean_of([point.divergence for point in points]).value:.4f}"
                f"{_others_words(points)}"
            )
        for seed, search in _searches(panel).items():
            tried = ", ".join(
                f"alpha {trial.strength:.4g} l1 {trial.l1:.3f} divergence {trial.divergence:.4f}"
                for trial in sorted(search.trials, key=lambda trial: trial.strength)
            )
            chosen = "none" if search.chosen is None else f"alpha {search.chosen:.4g}"
            told.append(f"{panel.title}, search of seed {seed}: {tried}; chosen: {chosen}")
    return f"{'; '.join(told)}."


def _thieves(shown: Sequence[Panel[TheftCell]]) -> dict[Thief, Look]:
    """Give each of the other thieves its look."""
    found = other_thieves(point for panel in shown for points in points_of(panel).values() for point in points)
    soft = cycle(_STUDENTS)
    return {thief: _HARD if thief.labels == "hard" else next(soft) for thief in found}


def _stolen(thieves: Mapping[Thief, Look]) -> tuple[_Quantity, _Quantity]:
    """Describe the two panels of what thieves took."""
    errors = [
        _Drawn(
            _THIEF,
            lambda points: in_percent(over_seeds([point.adversary_error for point in points])),
            lambda part: 100 * part.adversary_error.soft.value,
        ),
        *(_Drawn(look, partial(_over_seeds, thief, "adversary_error")) for thief, look in thieves.items()),
        _Drawn(
            _OWNER,
            lambda points: in_percent(over_seeds([point.defender_error for point in points])),
            lambda part: 100 * part.defender_error.value,
        ),
    ]
    apart = [
        _Drawn(
            _THIEF,
            lambda points: in_percent(over_seeds([point.disagreement for point in points])),
            lambda part: 100 * part.disagreement.soft.value,
        ),
        *(_Drawn(look, partial(_over_seeds, thief, "disagreement")) for thief, look in thieves.items()),
    ]
    return (
        _Quantity("errors", "wrong answers (%)", tuple(errors)),
        _Quantity("disagreement", "clone and victim differ (%)", tuple(apart)),
    )


def _over_seeds(
    thief: Thief, field: Literal["adversary_error", "disagreement"], points: Sequence[AlphaPoint]
) -> Measured | None:
    found = taken(points, thief, field)
    return in_percent(over_seeds(found)) if found else None


def points_of(panel: Panel[TheftCell]) -> dict[float, list[AlphaPoint]]:
    """Give what was measured at each alpha, a point for each seed; the least alpha first."""
    found: dict[float, list[AlphaPoint]] = {}
    for cell in panel.cells:
        for point in cell.hardening.alphas:
            found.setdefault(point.alpha, []).append(point)
    return dict(sorted(found.items()))


def _others_words(points: Sequence[AlphaPoint]) -> str:
    return "".join(
        f", adversary's error with {thief_words(thief)} "
        f"{percent(over_seeds(taken(points, thief, 'adversary_error')).value)}"
        for thief in other_thieves(points)
    )


def _shown(result: StudyResult) -> list[Panel[TheftCell]]:
    return [panel for panel in panels(result, first_target(result)) if points_of(panel) or _searches(panel)]


def _searches(panel: Panel[TheftCell]) -> dict[int, Search]:
    searches = {cell.seed: cell.hardening.searches.get("divqat") for cell in panel.cells}
    return {seed: search for seed, search in searches.items() if search is not None}


def _chosen(panel: Panel[TheftCell]) -> dict[int, float]:
    return {seed: search.chosen for seed, search in _searches(panel).items() if search.chosen is not None}


def _draw(axes: Axes, panel: Panel[TheftCell], quantity: _Quantity, styles: Mapping[int, _Style]) -> None:
    values: list[float] = []
    if quantity.search is not None:
        for seed, search in _searches(panel).items():
            values += _trials(axes, search, quantity.search, styles[seed])
    points = points_of(panel)
    for drawn in quantity.drawn:
        measured = {alpha: drawn.measure(own) for alpha, own in points.items()}
        found = {alpha: one for alpha, one in measured.items() if one is not None}
        values += [one.value for one in found.values()]
        _join(
            axes, list(found), [one.value for one in found.values()], color=drawn.look.colour, linewidth=1.3, zorder=3
        )
        for alpha, one in found.items():
            mark(axes, alpha, one, drawn.look, size=5)
        values += _victims(axes, panel, drawn)
    for seed, search in _searches(panel).items():
        if search.chosen is not None:
            axes.axvline(search.chosen, color=_SEARCHED, linewidth=1.1, linestyle=styles[seed].line, zorder=1)
        if quantity.search == "l1":
            axes.axhline(search.floor, color=SOFT_INK, linewidth=0.9, linestyle=_DASHES, zorder=1)
            axes.axhline(search.allowance.l1, color=SOFT_INK, linewidth=0.9, linestyle=_DOTS, zorder=1)
    axes.margins(y=0.08)
    if quantity.search is not None:
        decades(axes, values)


def _join(axes: Axes, x: Sequence[float], y: Sequence[float], **options: Any) -> None:
    """Join three points or more: what lies between two alone nobody looked at."""
    if len(x) > 2:
        axes.plot(x, y, **options)


def _victims(axes: Axes, panel: Panel[TheftCell], drawn: _Drawn) -> list[float]:
    """Draw what was measured of each seed's victim at the alpha that was chosen for it."""
    values: list[float] = []
    for cell in panel.cells:
        part, alpha = cell.hardening.victim.get("divqat"), _chosen(panel).get(cell.seed)
        if part is not None and alpha is not None and drawn.chosen is not None:
            values.append(drawn.chosen(part))
            axes.plot(alpha, values[-1], "x", color=drawn.look.colour, markersize=6, markeredgewidth=1.5, zorder=4)
    return values


def _trials(axes: Axes, search: Search, field: str, style: _Style) -> list[float]:
    """Draw what a search tried; what was not allowed is hollow."""
    trials = sorted(search.trials, key=lambda trial: trial.strength)
    values = [float(getattr(trial, field)) for trial in trials]
    tried = [trial.strength for trial in trials]
    _join(axes, tried, values, color=_SEARCHED, linewidth=0.9, linestyle=style.line, zorder=2)
    for trial, value in zip(trials, values, strict=True):
        fill = _SEARCHED if trial.allowed else "white"
        axes.plot(
            trial.strength, value, style.marker, color=_SEARCHED, markerfacecolor=fill, markersize=4.6, zorder=2.5
        )
    return values


def _keys(shown: Sequence[Panel[TheftCell]], seeds: Sequence[int]) -> list[Any]:
    keys: list[Any] = []
    stolen = [cell for panel in shown for cell in panel.cells if cell.hardening.alphas]
    if stolen:
        keys.append(line_key("adversary, soft labels", _THIEF.colour, marker=_THIEF.marker, markersize=5))
        for thief, look in _thieves(shown).items():
            keys.append(line_key(f"adversary, {thief_words(thief)}", look.colour, marker=look.marker, markersize=5))
        keys.append(line_key("defender", _OWNER.colour, marker=_OWNER.marker, markersize=5))
        keys.append(line_key("DivQAT on the test images", _TESTED.colour, marker=_TESTED.marker, markersize=5))
        keys.append(whisker_key(seed_counts(stolen)))
    for seed, style in zip(seeds, _STYLES, strict=False):
        shared: dict[str, Any] = {"linestyle": style.line, "marker": style.marker, "linewidth": 1.1, "markersize": 4.6}
        name = "search on validation images" if len(seeds) == 1 else f"search, seed {seed}"
        keys.append(line_key(name, _SEARCHED, **shared))
    if seeds:
        keys.append(line_key("hollow: not allowed", _SEARCHED, linestyle="", marker="o", markerfacecolor="white"))
        keys.append(line_key("cross: the victim of the tables", linestyle="", marker="x", markersize=6))
        keys.append(line_key("upright: chosen alpha", _SEARCHED, linestyle="", marker="|", markersize=11))
        keys.append(line_key("allowed l1", linestyle=_DOTS, linewidth=0.9))
        keys.append(line_key("l1 of two plain QAT seeds", linestyle=_DASHES, linewidth=0.9))
    return keys
