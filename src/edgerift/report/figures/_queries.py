"""Data-free extraction over queries: how fast the clones learn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from edgerift.facts import ATTACKS, Facts, Theft, Thefts, data_free_places
from edgerift.facts import readings as of
from edgerift.measure import spread
from edgerift.report.figures._epsilon import GUESSING, draw_guessing, guessing
from edgerift.report.figures._panels import line_key, panel_figure, panel_label
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.shared._comparisons import victim_title
from edgerift.report.shared._plots import Look, looks
from edgerift.report.shared._study import subject
from edgerift.report.shared._words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: A clone's progress: its error, or its agreement with the victim.
What: TypeAlias = Literal["error", "agreement"]

_UNITS: Final[dict[What, str]] = {
    "error": "the clone's wrong answers (%)",
    "agreement": "agreement with the victim (%)",
}
_AS_PUBLISHED: Final = (0, (4, 2))
_MOST_COLUMNS: Final = 4


@study_figure(
    "questions",
    120,
    "Data-free extraction over queries",
    "The clones' error over the queries made. Full lines are at the epsilon that is best against QAT, which is "
    "named in the title (ε), or at the only one tried; dashed lines at the published one, where that is another. "
    "Thick lines are means over the seeds.",
    place="theft",
    beside="data-free",
)
def questions(found: Facts) -> Chart | None:
    """Draw the clones' error over the queries."""
    return Chart(draw_questions, questions_words) if _shown(found) else None


@study_figure(
    "agreement",
    130,
    "Data-free extraction over queries: agreement",
    "How often the clones give the label that the victim gives, over the queries made: the "
    "attacker's goal even where the victim itself is often wrong. Lines as in the figure of the error.",
    place="theft",
    beside="data-free",
)
def agreement(found: Facts) -> Chart | None:
    """Draw the agreement of clones with their victim over the queries."""
    what: What = "agreement"
    return Chart(partial(draw_questions, what=what), partial(questions_words, what=what)) if _shown(found) else None


def draw_questions(found: Facts, what: What = "error") -> Figure:
    """Draw the clones' error or agreement over the queries, a panel for each attack of each place."""
    shown = _shown(found)
    look = looks(list(dict.fromkeys(victim for place, _ in shown for victim in place.victims)))
    columns = _columns(shown)
    figure, axes = panel_figure(len(shown), columns, 2.4, _keys(found, shown, look, what), sharey=True)
    for number, (one, (place, attack)) in enumerate(zip(axes, shown, strict=True)):
        unit = _UNITS[what] if number % columns == 0 else ""
        title = f"{subject(found.study, place.data, place.original)}: {ATTACKS[attack]}{_epsilon(place, attack)}"
        panel_label(one, title, "queries", unit, columns, shared=True)
        _draw(one, place, attack, look, what)
        if what == "error":
            draw_guessing(one, found, place)
    return figure


def questions_words(found: Facts, what: What = "error") -> str:
    """Give where each clone stood at a quarter, at half and at the end of its budget."""
    told = []
    for place, attack in _shown(found):
        for victim in place.victims:
            for theft in place.main(attack, victim):
                points = _mean(_curves(place, theft, what))
                stops = sorted({round(len(points) * share) - 1 for share in (0.25, 0.5, 1.0)} - {-1})
                shares = ", ".join(f"{percent(points[stop][1] / 100)} after {points[stop][0]:,}" for stop in stops)
                where = subject(found.study, place.data, place.original)
                told.append(f"{where}, {victim}, {theft.name}: {what} {shares}")
    return f"{'; '.join(told)}."


def _shown(found: Facts) -> list[tuple[Thefts, str]]:
    """List the panels: the attacks of each place whose clones were measured on the way."""
    return [
        (place, attack)
        for place in data_free_places(found)
        for attack in place.attacks
        if any(
            _mean(_curves(place, theft, "error")) for victim in place.victims for theft in place.main(attack, victim)
        )
    ]


def _columns(shown: Sequence[tuple[Thefts, str]]) -> int:
    """Let each place have a row where that fits."""
    counts = {len([1 for other, _ in shown if other is place]) for place, _ in shown}
    own = next(iter(counts))
    return own if len(counts) == 1 and own <= _MOST_COLUMNS else {1: 1, 2: 2, 4: 2}.get(len(shown), 3)


def _epsilon(place: Thefts, attack: str) -> str:
    """Name the epsilon of the full lines of the builds; nothing for an attack without."""
    found = {
        place.at_best(attack, victim).epsilon for victim in place.victims if len(place.epsilons(attack, victim)) > 1
    }
    known = [epsilon for epsilon in found if epsilon is not None]
    return f", ε={known[0]:g}" if len(known) == 1 else ""


def _draw(axes: Axes, place: Thefts, attack: str, look: dict[str, Look], what: What) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    for victim in place.victims:
        colour = look[victim].colour
        for number, theft in enumerate(place.main(attack, victim)):
            curves = _curves(place, theft, what)
            style: Any = _AS_PUBLISHED if number else "-"
            for seed in curves if len(curves) > 1 else ():
                axes.plot(list(seed), list(seed.values()), color=colour, linestyle=style, linewidth=0.6, alpha=0.5)
            points = _mean(curves)
            axes.plot(
                [at for at, _ in points], [value for _, value in points], color=colour, linestyle=style, linewidth=1.6
            )
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _curves(place: Thefts, theft: Theft, what: What) -> list[dict[int, float]]:
    """Give each seed's error or agreement in percent, by queries."""
    own = place.of(theft)
    points = own.of(of.CURVE_ERROR if what == "error" else of.CURVE_DISAGREEMENT)
    by_seed: dict[int, dict[int, float]] = {seed: {} for seed in own.distinct("seed")}
    for fact in points:
        by_seed[fact.seed or 0][int(fact.at or 0)] = 100 * (fact.value if what == "error" else 1 - fact.value)
    return list(by_seed.values())


def _mean(curves: Sequence[dict[int, float]]) -> list[tuple[int, float]]:
    """Average the curves of several seeds where all of them have a point."""
    shared = sorted(set.intersection(*map(set, curves))) if curves else []
    return [(at, spread([curve[at] for curve in curves]).value) for at in shared]


def _keys(found: Facts, shown: Sequence[tuple[Thefts, str]], look: dict[str, Look], what: What) -> list[Any]:
    keys: list[Any] = [line_key(victim_title(found, name), one.colour, linewidth=1.6) for name, one in look.items()]
    drawn = [place.main(attack, victim) for place, attack in shown for victim in place.victims]
    if any(len(own) > 1 for own in drawn):
        keys.append(line_key("full: epsilon best against QAT", linewidth=1.6))
        keys.append(line_key("dashed: published epsilon", linestyle=_AS_PUBLISHED, linewidth=1.6))
    if what == "error" and any(guessing(found, place) is not None for place, _ in shown):
        keys.append(line_key("chance", linestyle=GUESSING, linewidth=1.2))
    if any(len(place.facts.distinct("seed")) > 1 for place, _ in shown):
        keys.append(line_key("thin: seeds", linewidth=0.6))
    return keys
