"""DivQAT over alpha: errors, disagreement, divergence and distance (the second paper's figures 4 to 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.facts import Facts, Pooled, Reading, pooled
from edgerift.facts import readings as of
from edgerift.report.figures._alpha_words import (
    alpha_words,
    alphas_of,
    by_alpha,
    collapsed_alphas,
    searches_of,
    shown_panels,
)
from edgerift.report.figures._panels import (
    COLLAPSED,
    Panel,
    absent,
    line_key,
    on_first_target,
    panel_figure,
    panel_label,
)
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.figures._seeds import mark, seed_counts, theft_counts, whisker_key
from edgerift.report.shared._plot_scales import decades, strengths
from edgerift.report.shared._plots import INK, SOFT_INK, Look
from edgerift.report.shared._thieves import Thief, other_thieves, thief_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_THIEF: Final = Look("#c2410c", "s")
_HARD: Final = Look("#e08e00", "v")
_STUDENTS: Final = (Look("#b4428f", "D"), Look("#7b4fa3", "X"), Look("#3fa7e0", "P"), Look("#8b5e34", "h"))
_OWNER: Final = Look("#0072b2", "^")
_TESTED: Final = Look(INK, "s")
_SEARCHED: Final = "#00855f"
_THEORY: Final = "#8b5e34"
_DOTS: Final = (0, (1, 1.6))
_DASHES: Final = (0, (5, 3))


class _Style(NamedTuple):
    """What identifies a seed's search."""

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
    reading: Reading[Any]
    chosen: Reading[Any] | None = None
    thief: Thief | None = None

    def points(self, panel: Panel) -> dict[float, Pooled]:
        """Average the figure at each alpha; shares are in percent."""
        found = panel.facts.of(self.reading, **({} if self.thief is None else self.thief._asdict()))
        return {alpha: one.times(self.scale) for alpha, own in by_alpha(found).items() if (one := pooled(own))}

    @property
    def scale(self) -> float:
        """What a figure is multiplied with."""
        return 100.0 if self.reading.metric.unit == "share" else 1.0

    def victims(self, panel: Panel) -> list[tuple[float, float]]:
        """Give what was measured of each seed's victim, after the alpha that was chosen for it."""
        alphas = {seed: fact.value for seed, fact in panel.facts.of(of.CHOSEN).seeds.items()}
        found = panel.facts.of(*([] if self.chosen is None else [self.chosen]), labels=frozenset(("", "soft"))).seeds
        return [(alphas[seed], self.scale * fact.value) for seed, fact in found.items() if seed in alphas]


class _Quantity(NamedTuple):
    """What a panel shows; `search` is the figure of a trial that it shows too."""

    title: str
    unit: str
    drawn: tuple[_Drawn, ...]
    search: Reading[Any] | None = None


_TRIED: Final = (
    _Quantity("divergence", "KL(quantized || original), nats", (_Drawn(_TESTED, of.ALPHA_KL, of.KL),), of.TRIAL_KL),
    _Quantity("distance", "l1 to the plain QAT build", (_Drawn(_TESTED, of.ALPHA_L1, of.L1),), of.TRIAL_L1),
)


#: What a panel shows of a search that is the only one, for which there is room.
_ALONE: Final = (
    _Quantity("accuracy", "right answers (%)", (), of.TRIAL_ACCURACY),
    _Quantity("changed labels", "another label than QAT's (%)", (), of.TRIAL_CHANGED),
)
#: Where theory puts the jump, which differs from seed to seed: for one seed.
_JUMPS: Final = (
    (of.APPEARS, _DOTS, "theory: a poisoned optimum appears"),
    (of.FLIPS, _DASHES, "theory: labels turn"),
)


@study_figure(
    "alpha",
    90,
    "DivQAT over alpha",
    "Errors, disagreement and divergence at each alpha on the test images, as in the DivQAT paper's figures 4 to "
    "6, and each seed's search for the strongest alpha allowed, on the validation images. Crosses: the victim of "
    "the tables, trained with the alpha chosen. Two points alone are not joined. "
    f"{COLLAPSED}",
    place="theft",
    beside="alphas",
    whiskers=theft_counts,
)
def alpha(found: Facts) -> Chart | None:
    """Draw what alpha does, where DivQAT was trained at any on the first target."""
    return Chart(draw_alpha, alpha_words) if shown_panels(found) else None


def draw_alpha(found: Facts) -> Figure:
    """Draw errors and disagreement where they were measured, and divergence and distance, over alpha."""
    shown, thieves = shown_panels(found), _thieves(found)
    stolen = _stolen(thieves)
    seeds = sorted({seed for panel in shown for seed in searches_of(panel)})
    alone = _ALONE if len(seeds) == 1 else ()
    order = [(panel, one) for panel in shown for one in (*(stolen if alphas_of(panel) else ()), *_TRIED, *alone)]
    figure, axes = panel_figure(len(order), 2, 2.45, _keys(shown, thieves, seeds))
    for one, (panel, quantity) in zip(axes, order, strict=True):
        panel_label(one, f"{panel.title}: {quantity.title}", "alpha", quantity.unit, 2)
        _draw(one, panel, quantity, dict(zip(seeds, cycle(_STYLES), strict=False)))
        for at, words in collapsed_alphas(found, panel).items():
            absent(one, at, words)
        jumps = _jumps(one, panel) if alone else []
        tried = [fact.over for fact in panel.facts.of(of.TRIAL_L1)]
        strengths(one, [*tried, *alphas_of(panel), *(fact.value for fact in panel.facts.of(of.CHOSEN)), *jumps])
    return figure


def _thieves(found: Facts) -> dict[Thief, Look]:
    """Give each of the other attackers its look."""
    soft = cycle(_STUDENTS)
    thieves = other_thieves(on_first_target(found).of(of.ALPHA_THEFT_ERROR))
    return {thief: _HARD if thief.labels == "hard" else next(soft) for thief in thieves}


def _stolen(thieves: Mapping[Thief, Look]) -> tuple[_Quantity, _Quantity]:
    """Describe the two panels of the attackers' results."""
    errors = (
        _Drawn(_THIEF, of.ALPHA_ERROR, of.CLONE_ERROR),
        *(_Drawn(look, of.ALPHA_THEFT_ERROR, thief=thief) for thief, look in thieves.items()),
        _Drawn(_OWNER, of.ALPHA_DEFENDER, of.DEFENDER_ERROR),
    )
    apart = (
        _Drawn(_THIEF, of.ALPHA_DISAGREEMENT, of.CLONE_DISAGREEMENT),
        *(_Drawn(look, of.ALPHA_THEFT_DISAGREEMENT, thief=thief) for thief, look in thieves.items()),
    )
    return (
        _Quantity("errors", "wrong answers (%)", errors),
        _Quantity("disagreement", "clone and victim differ (%)", apart),
    )


def _draw(axes: Axes, panel: Panel, quantity: _Quantity, styles: Mapping[int, _Style]) -> None:
    values: list[float] = []
    searches = searches_of(panel)
    if quantity.search is not None:
        for seed, search in searches.items():
            values += _trials(axes, search, quantity.search, styles[seed])
    for drawn in quantity.drawn:
        values += _points(axes, panel, drawn)
    for seed, search in searches.items():
        for fact in search.of(of.CHOSEN):
            axes.axvline(fact.value, color=_SEARCHED, linewidth=1.1, linestyle=styles[seed].line, zorder=1)
        for at, dashes in _limits(search, quantity.search):
            axes.axhline(at, color=SOFT_INK, linewidth=0.9, linestyle=dashes, zorder=1)
    axes.margins(y=0.08)
    if quantity.drawn and quantity.search is not None:
        decades(axes, values)


def _limits(search: Facts, reading: Reading[Any] | None) -> list[tuple[float, Any]]:
    """List what was allowed, and what another seed would do, each with its dashes."""
    if reading is of.TRIAL_L1:
        floor, l1 = (search.of(one)[0].value for one in (of.FLOOR, of.ALLOWED_L1))
        return [(floor, _DASHES), (l1, _DOTS)]
    if reading is of.TRIAL_ACCURACY:
        reference = search.of(of.REFERENCE)[0].value
        return [(100 * (reference - drop.value), _DOTS) for drop in search.of(of.ALLOWED_DROP)]
    return []


def _jumps(axes: Axes, panel: Panel) -> list[float]:
    """Draw where theory puts the jump."""
    found = [(fact.value, dashes) for reading, dashes, _ in _JUMPS for fact in panel.facts.of(reading)]
    for at, dashes in found:
        axes.axvline(at, color=_THEORY, linewidth=1.2, linestyle=dashes, zorder=1)
    return [at for at, _ in found]


def _points(axes: Axes, panel: Panel, drawn: _Drawn) -> list[float]:
    """Draw a figure at each alpha, and what was measured of each seed's victim."""
    points, colour = drawn.points(panel), drawn.look.colour
    values = [one.value for one in points.values()]
    _join(axes, list(points), values, color=colour, linewidth=1.3, zorder=3)
    for at, one in points.items():
        mark(axes, at, one, drawn.look, size=5)
    for at, value in drawn.victims(panel):
        values.append(value)
        axes.plot(at, value, "x", color=colour, markersize=6, markeredgewidth=1.5, zorder=4)
    return values


def _join(axes: Axes, x: Sequence[float], y: Sequence[float], **options: Any) -> None:
    """Join three points or more: nothing was measured between two alone."""
    if len(x) > 2:
        axes.plot(x, y, **options)


def _trials(axes: Axes, search: Facts, reading: Reading[Any], style: _Style) -> list[float]:
    """Draw what a search tried; what was not allowed is hollow."""
    trials = sorted(search.of(reading), key=lambda fact: fact.over)
    allowed = {fact.at for fact in search.of(of.TRIAL_ALLOWED) if fact.value}
    scale = 100.0 if reading.metric.unit == "share" else 1.0
    values = [scale * fact.value for fact in trials]
    _join(axes, [fact.over for fact in trials], values, color=_SEARCHED, linewidth=0.9, linestyle=style.line, zorder=2)
    for fact in trials:
        fill = _SEARCHED if fact.at in allowed else "white"
        axes.plot(
            fact.over,
            scale * fact.value,
            style.marker,
            color=_SEARCHED,
            markerfacecolor=fill,
            markersize=4.6,
            zorder=2.5,
        )
    return values


def _keys(shown: Sequence[Panel], thieves: Mapping[Thief, Look], seeds: Sequence[int]) -> list[Any]:
    keys: list[Any] = []
    stolen = [panel.facts.of(of.ALPHA_L1) for panel in shown if alphas_of(panel)]
    if stolen:
        keys.append(line_key("adversary, soft labels", _THIEF.colour, marker=_THIEF.marker, markersize=5))
        for thief, look in thieves.items():
            keys.append(line_key(f"adversary, {thief_title(thief)}", look.colour, marker=look.marker, markersize=5))
        keys.append(line_key("defender", _OWNER.colour, marker=_OWNER.marker, markersize=5))
        keys.append(line_key("DivQAT on the test images", _TESTED.colour, marker=_TESTED.marker, markersize=5))
        keys.append(whisker_key(frozenset(count for own in stolen for count in seed_counts(own))))
    for seed, style in zip(seeds, _STYLES, strict=False):
        shared: dict[str, Any] = {"linestyle": style.line, "marker": style.marker, "linewidth": 1.1, "markersize": 4.6}
        name = "search on validation images" if len(seeds) == 1 else f"search, seed {seed}"
        keys.append(line_key(name, _SEARCHED, **shared))
    if seeds:
        keys.append(line_key("hollow: not allowed", _SEARCHED, linestyle="", marker="o", markerfacecolor="white"))
        keys.append(line_key("cross: the victim of the tables", linestyle="", marker="x", markersize=6))
        keys.append(line_key("upright: chosen alpha", _SEARCHED, linestyle="", marker="|", markersize=11))
        keys.append(line_key("allowed l1" if len(seeds) > 1 else "allowed", linestyle=_DOTS, linewidth=0.9))
        keys.append(line_key("l1 of two plain QAT seeds", linestyle=_DASHES, linewidth=0.9))
    if len(seeds) == 1 and any(panel.facts.of(of.APPEARS) for panel in shown):
        keys += [line_key(text, _THEORY, linestyle=dashes, linewidth=1.2) for _, dashes, text in _JUMPS]
    return keys
