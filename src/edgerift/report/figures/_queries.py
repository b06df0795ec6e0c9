"""Thefts without images over the questions asked: how fast the clones learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from edgerift.harden import DataFreeEntry
from edgerift.measure import spread
from edgerift.report.figures._epsilon import GUESSING, guessing
from edgerift.report.figures._panels import line_key, panel_figure, panel_label, subject
from edgerift.report.records._datafree import ATTACKS, DataFreeThefts, Place, victim_title
from edgerift.report.shared._plots import SOFT_INK, Look, looks
from edgerift.report.shared._words import percent
from edgerift.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What is told of a clone on its way: how often it is wrong, or how often it gives the label that the victim gives.
What: TypeAlias = Literal["error", "agreement"]

_UNITS: Final[dict[What, str]] = {
    "error": "the clone's wrong answers (%)",
    "agreement": "agreement with the victim (%)",
}
_AS_PUBLISHED: Final = (0, (4, 2))
_MOST_COLUMNS: Final = 4


def has_questions(result: StudyResult) -> bool:
    """Tell whether any clone was measured on the way."""
    return bool(_shown(result))


def draw_questions(result: StudyResult, what: What = "error") -> Figure:
    """Draw the clones' error or agreement over the questions, a panel for each attack of each place."""
    shown = _shown(result)
    look = looks(list(dict.fromkeys(victim for place, _ in shown for victim in place.victims)))
    columns = _columns(shown)
    figure, axes = panel_figure(len(shown), columns, 2.4, _keys(result, shown, look, what), sharey=True)
    for number, (one, (place, attack)) in enumerate(zip(axes, shown, strict=True)):
        unit = _UNITS[what] if number % columns == 0 else ""
        title = f"{subject(result, place.data, place.original)}: {ATTACKS[attack]}{_epsilon(place, attack)}"
        panel_label(one, title, "questions", unit, columns, shared=True)
        _draw(one, place, attack, look, what)
        share = guessing(result, place)
        if share is not None and what == "error":
            one.axhline(100 * share, color=SOFT_INK, linestyle=GUESSING, linewidth=1.2, zorder=1)
    return figure


def questions_words(result: StudyResult, what: What = "error") -> str:
    """Give where each clone stood at a quarter, at half and at the end of its budget."""
    told = []
    for place, attack in _shown(result):
        for victim in place.victims:
            for theft in place.main(attack, victim):
                points = _mean(list(place.entries(theft).values()), what)
                stops = sorted({round(len(points) * share) - 1 for share in (0.25, 0.5, 1.0)} - {-1})
                shares = ", ".join(f"{percent(points[stop][1] / 100)} after {points[stop][0]:,}" for stop in stops)
                told.append(f"{subject(result, place.data, place.original)}, {victim}, {theft.name}: {what} {shares}")
    return f"{'; '.join(told)}."


def _shown(result: StudyResult) -> list[tuple[Place, str]]:
    """List the panels: the attacks of each place whose clones were measured on the way."""
    return [
        (place, attack)
        for place in DataFreeThefts(result).all()
        for attack in place.attacks
        if any(
            _mean(list(place.entries(theft).values()), "error")
            for victim in place.victims
            for theft in place.main(attack, victim)
        )
    ]


def _columns(shown: Sequence[tuple[Place, str]]) -> int:
    """Let each place have a row where that fits."""
    counts = {len([1 for other, _ in shown if other is place]) for place, _ in shown}
    own = next(iter(counts))
    return own if len(counts) == 1 and own <= _MOST_COLUMNS else {1: 1, 2: 2, 4: 2}.get(len(shown), 3)


def _epsilon(place: Place, attack: str) -> str:
    """Name the epsilon of the full lines of the builds; nothing for an attack without."""
    found = {
        place.at_best(attack, victim).epsilon for victim in place.victims if len(place.epsilons(attack, victim)) > 1
    }
    known = [epsilon for epsilon in found if epsilon is not None]
    return f", ε={known[0]:g}" if len(known) == 1 else ""


def _draw(axes: Axes, place: Place, attack: str, look: dict[str, Look], what: What) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    for victim in place.victims:
        colour = look[victim].colour
        for number, theft in enumerate(place.main(attack, victim)):
            entries = list(place.entries(theft).values())
            style: Any = _AS_PUBLISHED if number else "-"
            for entry in entries if len(entries) > 1 else ():
                seed = _curve(entry, what)
                axes.plot(list(seed), list(seed.values()), color=colour, linestyle=style, linewidth=0.6, alpha=0.5)
            points = _mean(entries, what)
            axes.plot(
                [at for at, _ in points], [value for _, value in points], color=colour, linestyle=style, linewidth=1.6
            )
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))


def _curve(entry: DataFreeEntry, what: What) -> dict[int, float]:
    """Give a clone's error or agreement in percent, by the questions asked."""
    known = [(point.queries, point.measured) for point in entry.theft.curve if point.measured is not None]
    return {at: 100 * (each.error if what == "error" else 1 - each.disagreement) for at, each in known}


def _mean(entries: Sequence[DataFreeEntry], what: What) -> list[tuple[int, float]]:
    """Average the curves of several seeds where all of them have a point."""
    curves = [_curve(entry, what) for entry in entries]
    shared = sorted(set.intersection(*map(set, curves))) if curves else []
    return [(at, spread([curve[at] for curve in curves]).value) for at in shared]


def _keys(result: StudyResult, shown: Sequence[tuple[Place, str]], look: dict[str, Look], what: What) -> list[Any]:
    keys: list[Any] = [line_key(victim_title(result, name), one.colour, linewidth=1.6) for name, one in look.items()]
    drawn = [place.main(attack, victim) for place, attack in shown for victim in place.victims]
    if any(len(own) > 1 for own in drawn):
        keys.append(line_key("full: epsilon best against QAT", linewidth=1.6))
        keys.append(line_key("dashed: published epsilon", linestyle=_AS_PUBLISHED, linewidth=1.6))
    if what == "error" and any(guessing(result, place) is not None for place, _ in shown):
        keys.append(line_key("guessing", linestyle=GUESSING, linewidth=1.2))
    if any(len(place.by_seed) > 1 for place, _ in shown):
        keys.append(line_key("thin: seeds", linewidth=0.6))
    return keys
