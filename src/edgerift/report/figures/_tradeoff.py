"""What each victim costs its owner against what it costs its thieves, over a study's data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.harden import PaperRow, VariantPart, paper_row
from edgerift.report.figures._names import Line, Named, name_marks
from edgerift.report.figures._panels import Panel, first_target, line_key, panel_figure, panel_label, panels
from edgerift.report.figures._seeds import (
    Measured,
    in_percent,
    mark,
    over_seeds,
    seed_counts,
    whisker_key,
    whisker_words,
)
from edgerift.report.shared._plots import SOFT_INK, Look, looks, mark_key
from edgerift.report.shared._words import percent
from edgerift.study import StudyResult, TheftCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BUDGET: Final = (0, (1, 1.6))
_MOST_L1: Final = 2.0


def has_tradeoff(result: StudyResult) -> bool:
    """Tell whether victims were compared."""
    return bool(_shown(result))


def draw_tradeoff(result: StudyResult) -> Figure:
    """Draw the adversary's error over l1, and with soft labels over the defender's error, with the paper's points."""
    shown = _shown(result)
    names = list(dict.fromkeys(name for panel in shown for cell in panel.cells for name in cell.hardening.victim))
    look = looks(names)
    figure, axes = panel_figure(2 * len(shown), 2, 3.1, _keys(shown, look))
    scatters = []
    for number, panel in enumerate(shown):
        over_l1, over_error = axes[2 * number : 2 * number + 2]
        panel_label(over_l1, panel.title, "l1 to the plain QAT build's answers", "adversary's error (%)", 2)
        panel_label(over_error, f"{panel.title}: soft labels", "defender's error (%)", "", 2)
        scatters += [_over_l1(over_l1, panel, look), _over_error(over_error, panel, look)]
    figure.draw_without_rendering()
    for one, scatter in zip(axes, scatters, strict=True):
        name_marks(one, scatter.named, scatter.others, scatter.whiskers)
    return figure


def tradeoff_study_words(result: StudyResult) -> str:
    """Give each victim's places."""
    told = []
    for panel in _shown(result):
        for name, parts in victims(panel).items():
            soft, hard = errors(parts)
            l1, error = (
                over_seeds([part.l1 for part in parts], _MOST_L1),
                over_seeds([part.defender_error for part in parts]),
            )
            told.append(
                f"{panel.title}, {parts[0].title}: l1 {l1.value:.3f}, defender's error {_share(error)}, adversary's "
                f"error {_share(soft)} with soft and {_share(hard)} with hard labels"
                f"{_paper_words(_printed(panel, name))}"
            )
    counts = seed_counts([cell for panel in _shown(result) for cell in panel.cells])
    return f"{'; '.join(told)}. In brackets: {whisker_words(counts)}."


def victims(panel: Panel[TheftCell]) -> dict[str, list[VariantPart]]:
    """Give each victim's figures, a part for each seed."""
    found: dict[str, list[VariantPart]] = {}
    for cell in panel.cells:
        for name, part in cell.hardening.victim.items():
            found.setdefault(name, []).append(part)
    return found


def errors(parts: Sequence[VariantPart]) -> tuple[Measured, Measured]:
    """Average the adversary's error with soft and with hard labels."""
    soft = over_seeds([part.adversary_error.soft for part in parts])
    return soft, over_seeds([part.adversary_error.hard for part in parts])


def _shown(result: StudyResult) -> list[Panel[TheftCell]]:
    return panels(result, first_target(result))


class _Scatter(NamedTuple):
    """The marks of a panel that have names, the others, and the whiskers of both."""

    named: list[Named]
    others: list[tuple[float, float]]
    whiskers: list[Line]

    def add_whiskers(self, x: Measured, y: Measured) -> None:
        """Remember the whiskers of a mark."""
        self.whiskers.append(Line((x.low, y.value), (x.high, y.value)))
        self.whiskers.append(Line((x.value, y.low), (x.value, y.high)))


def _over_l1(axes: Axes, panel: Panel[TheftCell], look: Mapping[str, Look]) -> _Scatter:
    found = _Scatter([], [], [])
    for name, parts in victims(panel).items():
        l1 = over_seeds([part.l1 for part in parts], _MOST_L1)
        soft, hard = map(in_percent, errors(parts))
        mark(axes, l1, soft, look[name], size=5.5)
        mark(axes, l1, hard, look[name], hollow=True, size=5.5)
        found.named.append(Named(l1.value, soft.value, name, look[name].colour))
        found.others.append((l1.value, hard.value))
        found.add_whiskers(l1, soft)
        found.add_whiskers(l1, hard)
    for budget in {cell.hardening.allowance.l1 for cell in panel.cells}:
        axes.axvline(budget, color=SOFT_INK, linewidth=1.0, linestyle=_BUDGET, zorder=1)
    axes.margins(x=0.08, y=0.08)
    return found


def _over_error(axes: Axes, panel: Panel[TheftCell], look: Mapping[str, Look]) -> _Scatter:
    found = _Scatter([], [], [])
    for name, parts in victims(panel).items():
        error = in_percent(over_seeds([part.defender_error for part in parts]))
        soft = in_percent(errors(parts)[0])
        mark(axes, error, soft, look[name], size=5.5)
        found.named.append(Named(error.value, soft.value, name, look[name].colour))
        found.add_whiskers(error, soft)
        paper = _printed(panel, name)
        if paper is not None:
            x, y = 100 * paper.defender_error, 100 * paper.adversary_error
            shared: dict[str, Any] = {"markerfacecolor": "none", "markersize": 3.6, "alpha": 0.8, "linestyle": ""}
            axes.plot(x, y, look[name].marker, color=look[name].colour, zorder=2, **shared)
            found.others.append((x, y))
    axes.margins(x=0.08, y=0.08)
    return found


def _printed(panel: Panel[TheftCell], name: str) -> PaperRow | None:
    """Give what the paper's tables III and IV print, which are of target server."""
    return paper_row(panel.cells[0].hardening.data.source, name)


def _paper_words(paper: PaperRow | None) -> str:
    return "" if paper is None else (
        f" (the paper: {percent(paper.defender_error)} and {percent(paper.adversary_error)})"
    )  # fmt: skip


def _share(found: Measured) -> str:
    return f"{percent(found.value)} ({100 * found.low:.1f} to {100 * found.high:.1f})"


def _keys(shown: Sequence[Panel[TheftCell]], look: dict[str, Look]) -> list[Any]:
    titles = {name: parts[0].title for panel in shown for name, parts in victims(panel).items()}
    keys = [mark_key(one, titles[name]) for name, one in look.items()]
    shared: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 6}
    keys.append(line_key("filled: soft labels", SOFT_INK, **shared))
    keys.append(line_key("hollow: hard labels", SOFT_INK, markerfacecolor="white", **shared))
    if any(_printed(panel, name) for panel in shown for name in victims(panel)):
        keys.append(line_key("small: the paper's", linestyle="", marker="o", markersize=3.6, markerfacecolor="white"))
    keys.append(line_key("l1 that was allowed", linestyle=_BUDGET, linewidth=1.0))
    return [*keys, whisker_key(seed_counts([cell for panel in shown for cell in panel.cells]))]
