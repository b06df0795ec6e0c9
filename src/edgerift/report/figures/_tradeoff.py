"""The cost of each victim to its owner against its effect on attackers, over a study's data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.facts import Facts, Pooled, pooled
from edgerift.facts import readings as of
from edgerift.report.figures._names import Line, Named, name_marks
from edgerift.report.figures._panels import COLLAPSED, line_key, panel_figure, panel_label
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.figures._seeds import mark, share_words, theft_counts, whisker_key, whisker_words
from edgerift.report.shared._comparisons import Comparison, first_target, paper_target
from edgerift.report.shared._plots import SOFT_INK, Look, looks, mark_key
from edgerift.report.shared._study import subject
from edgerift.report.shared._words import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BUDGET: Final = (0, (1, 1.6))


@study_figure(
    "tradeoff",
    70,
    "Cost and protection",
    "The adversary's error over the mean l1 between a victim's answers and the plain QAT build's, and with soft "
    "labels over the defender's error, where small marks are what the DivQAT paper prints. Higher is better for "
    "the defender; further right is a higher cost to its owner. Names are those of the study's rows. "
    f"{COLLAPSED}",
    place="theft",
    beside="victims",
    whiskers=theft_counts,
)
def tradeoff(found: Facts) -> Chart | None:
    """Draw the adversary's error over what victims cost."""
    return Chart(draw_tradeoff, tradeoff_words) if first_target(found) else None


class _Victim(NamedTuple):
    """What was measured of a victim over the seeds: distance and shares."""

    l1: Pooled
    owner: Pooled
    soft: Pooled
    hard: Pooled


def draw_tradeoff(found: Facts) -> Figure:
    """Draw the adversary's error over l1, and with soft labels over the defender's error, with the paper's points."""
    shown = first_target(found)
    look = looks(list(dict.fromkeys(name for one in shown for name in one.names)))
    figure, axes = panel_figure(2 * len(shown), 2, 3.1, _keys(found, shown, look))
    scatters = []
    for number, one in enumerate(shown):
        over_l1, over_error = axes[2 * number : 2 * number + 2]
        title = subject(found.study, one.data, one.original)
        panel_label(over_l1, title, "l1 to the plain QAT build's answers", "adversary's error (%)", 2)
        panel_label(over_error, f"{title}: soft labels", "defender's error (%)", "", 2)
        scatters += [_over_l1(over_l1, one, look), _over_error(over_error, found, one, look)]
    figure.draw_without_rendering()
    for panel, scatter in zip(axes, scatters, strict=True):
        name_marks(panel, scatter.named, scatter.others, scatter.whiskers)
    return figure


def tradeoff_words(found: Facts) -> str:
    """Give each victim's places."""
    told = []
    for one in first_target(found):
        for name, victim in _victims(one).items():
            told.append(
                f"{subject(found.study, one.data, one.original)}, {one.label(name)}: l1 {victim.l1.value:.3f}, "
                f"defender's error {share_words(victim.owner)}, adversary's error {share_words(victim.soft)} with soft "
                f"and {share_words(victim.hard)} with hard labels{_paper_words(_printed(found, one, name))}"
            )
    return f"{'; '.join(told)}. In brackets: {whisker_words(_counts(found))}."


def _counts(found: Facts) -> frozenset[int]:
    return frozenset(len(one.documents) for one in first_target(found))


def _victims(one: Comparison) -> dict[str, _Victim]:
    found = {}
    for name in one.names:
        own = one.facts.where(victim=name)
        parts = (
            own.of(of.L1),
            own.of(of.DEFENDER_ERROR),
            own.of(of.CLONE_ERROR, labels="soft"),
            own.of(of.CLONE_ERROR, labels="hard"),
        )
        l1, owner, soft, hard = map(pooled, parts)
        if l1 and owner and soft and hard:
            found[name] = _Victim(l1, owner, soft, hard)
    return found


class _Scatter(NamedTuple):
    """The marks of a panel that have names, the others, and the whiskers of both."""

    named: list[Named]
    others: list[tuple[float, float]]
    whiskers: list[Line]

    def add_whiskers(self, x: Pooled, y: Pooled) -> None:
        """Remember the whiskers of a mark."""
        (left, right), (low, high) = x.ends, y.ends
        self.whiskers.append(Line((left, y.value), (right, y.value)))
        self.whiskers.append(Line((x.value, low), (x.value, high)))


def _over_l1(axes: Axes, one: Comparison, look: Mapping[str, Look]) -> _Scatter:
    found = _Scatter([], [], [])
    for name, victim in _victims(one).items():
        l1, soft, hard = victim.l1, victim.soft.times(100), victim.hard.times(100)
        mark(axes, l1, soft, look[name], size=5.5)
        mark(axes, l1, hard, look[name], hollow=True, size=5.5)
        found.named.append(Named(l1.value, soft.value, one.marked(name, name), look[name].colour))
        found.others.append((l1.value, hard.value))
        found.add_whiskers(l1, soft)
        found.add_whiskers(l1, hard)
    for budget in {document.allowance.l1 for document in one.documents.values()}:
        axes.axvline(budget, color=SOFT_INK, linewidth=1.0, linestyle=_BUDGET, zorder=1)
    axes.margins(x=0.08, y=0.08)
    return found


def _over_error(axes: Axes, found: Facts, one: Comparison, look: Mapping[str, Look]) -> _Scatter:
    scatter = _Scatter([], [], [])
    for name, victim in _victims(one).items():
        error, soft = victim.owner.times(100), victim.soft.times(100)
        mark(axes, error, soft, look[name], size=5.5)
        scatter.named.append(Named(error.value, soft.value, one.marked(name, name), look[name].colour))
        scatter.add_whiskers(error, soft)
        paper = _printed(found, one, name)
        if paper is not None:
            x, y = 100 * paper[0], 100 * paper[1]
            shared: dict[str, Any] = {"markerfacecolor": "none", "markersize": 3.6, "alpha": 0.8, "linestyle": ""}
            axes.plot(x, y, look[name].marker, color=look[name].colour, zorder=2, **shared)
            scatter.others.append((x, y))
    axes.margins(x=0.08, y=0.08)
    return scatter


def _printed(found: Facts, one: Comparison, name: str) -> tuple[float, float] | None:
    """Give both errors of a victim as the paper prints them, in [0, 1]."""
    own = found.where(source="published", data=one.data, victim=name, target=paper_target(found))
    errors = [fact.value for reading in (of.DEFENDER_ERROR, of.CLONE_ERROR) for fact in own.where(reading=reading)[:1]]
    return (errors[0], errors[1]) if len(errors) == 2 else None


def _paper_words(paper: tuple[float, float] | None) -> str:
    return "" if paper is None else f" (the paper: {percent(paper[0])} and {percent(paper[1])})"


def _keys(found: Facts, shown: list[Comparison], look: dict[str, Look]) -> list[Any]:
    titles = {name: one.title(name) for one in shown for name in one.names}
    keys = [mark_key(one, titles[name]) for name, one in look.items()]
    shared: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 6}
    keys.append(line_key("filled: soft labels", SOFT_INK, **shared))
    keys.append(line_key("hollow: hard labels", SOFT_INK, markerfacecolor="white", **shared))
    if any(_printed(found, one, name) for one in shown for name in one.names):
        keys.append(line_key("small: the paper's", linestyle="", marker="o", markersize=3.6, markerfacecolor="white"))
    keys.append(line_key("l1 that was allowed", linestyle=_BUDGET, linewidth=1.0))
    return [*keys, whisker_key(_counts(found))]
