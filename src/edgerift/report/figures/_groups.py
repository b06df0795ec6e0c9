"""Extraction attacks by clone network (the second paper's figure 3), and by target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from edgerift.facts import Facts, Pooled, Reading, pooled
from edgerift.facts import readings as of
from edgerift.report.figures._panels import (
    COLLAPSED,
    Panel,
    absent,
    line_key,
    name_ticks,
    on_first_target,
    panel_figure,
    panel_label,
    panels,
    shortened,
)
from edgerift.report.figures._registry import Chart, study_figure
from edgerift.report.figures._seeds import mark, seed_counts, share_words, theft_counts, whisker_key, whisker_words
from edgerift.report.shared._collapses import Collapses, collapse_words
from edgerift.report.shared._plots import INK, SOFT_INK, Look, mark_key, written

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_VICTIMS: Final[Mapping[str, Look]] = {"qat": Look(INK, "o"), "divqat": Look("#0072b2", "D")}
_TITLES: Final[Mapping[str, str]] = {"qat": "QAT", "divqat": "DivQAT"}
_WIDTH: Final = 0.6
_MOST_COLUMNS: Final = 4


class _Row(NamedTuple):
    """One row of panels: what it shows of a victim in a group, where a field of the facts names the groups."""

    title: str
    unit: str
    labels: tuple[str, ...]
    readings: tuple[Reading[Any], ...]
    field: str

    def find(self, panel: Panel, victim: str, group: str, labels: str) -> Pooled | None:
        """Average a figure over the seeds."""
        own = panel.facts.of(*self.readings, **{"victim": victim, self.field: group, "labels": frozenset((labels, ""))})
        return pooled(own.seeds.values())


class _Sort(NamedTuple):
    """What the panels of a figure show, and of which figure each seed that they are made of has one."""

    rows: tuple[_Row, ...]
    readings: tuple[Reading[Any], ...]
    seeds: Reading[Any]

    def counts(self, shown: Sequence[Panel]) -> frozenset[int]:
        """Count the seeds of the panels."""
        return frozenset(count for panel in shown for count in seed_counts(panel.facts.of(self.seeds), "target"))


_CLONES: Final = _Sort(
    (
        _Row(
            "adversary's error",
            "the clone's wrong answers (%)",
            of.LABELS,
            (of.CLONE_ERROR, of.STUDENT_ERROR),
            "student",
        ),
        _Row(
            "disagreement",
            "clone and victim differ (%)",
            of.LABELS,
            (of.CLONE_DISAGREEMENT, of.STUDENT_DISAGREEMENT),
            "student",
        ),
    ),
    (*of.CLONE.readings, *of.STUDENT.readings),
    of.STUDENT_ERROR,
)
_TARGETS: Final = _Sort(
    (
        _Row("defender's error", "the build's wrong answers (%)", ("soft",), (of.DEFENDER_ERROR,), "target"),
        _Row("adversary's error", "the clone's wrong answers (%)", of.LABELS, (of.CLONE_ERROR,), "target"),
    ),
    (of.DEFENDER_ERROR, of.CLONE_ERROR),
    of.DEFENDER_ERROR,
)


@study_figure(
    "clones",
    80,
    "Clones of other networks",
    "The adversary's error and the disagreement of clone and victim for each clone network, as in the DivQAT "
    f"paper's figure 3. Higher is better for the defender. {COLLAPSED}",
    place="theft",
    beside="students",
    whiskers=theft_counts,
)
def clones(found: Facts) -> Chart | None:
    """Draw the adversary's error and the disagreement for each clone network."""
    return Chart(draw_clones, clones_words) if _shown(found, _CLONES) else None


@study_figure(
    "targets",
    100,
    "Targets",
    "The defender's and the adversary's error of builds for each target. The defender wants its own error low and "
    f"the adversary's high. {COLLAPSED}",
    place="theft",
    beside="targets",
    whiskers=theft_counts,
)
def targets(found: Facts) -> Chart | None:
    """Draw the defender's and the adversary's error for each target."""
    return Chart(draw_targets, targets_words) if _shown(found, _TARGETS) else None


def draw_clones(found: Facts) -> Figure:
    """Draw the extraction attacks by network, a column for each data set."""
    return _draw(found, _CLONES)


def draw_targets(found: Facts) -> Figure:
    """Draw the extraction attacks by target, a column for each data set."""
    return _draw(found, _TARGETS)


def clones_words(found: Facts) -> str:
    """Give every clone's error and disagreement."""
    return _words(found, _CLONES)


def targets_words(found: Facts) -> str:
    """Give both errors on every target."""
    return _words(found, _TARGETS)


def _shown(found: Facts, sort: _Sort) -> list[Panel]:
    """List the panels: where there are clones of other networks, or more than one target."""
    if sort is _CLONES:
        own = panels(on_first_target(found).of(*sort.readings))
        return [panel for panel in own if panel.facts.of(of.STUDENT_ERROR)]
    return [panel for panel in panels(found.of(*sort.readings)) if len(_groups(panel, sort)) > 1]


def _groups(panel: Panel, sort: _Sort) -> list[str]:
    """List the targets, or the clone networks, the attack's own first."""
    if sort is _TARGETS:
        return sorted(panel.facts.distinct("target"))
    own = panel.facts.of(of.CLONE_ERROR).distinct("student")
    return list(dict.fromkeys([*own, *panel.facts.of(of.STUDENT_ERROR).distinct("student")]))


def _draw(found: Facts, sort: _Sort) -> Figure:
    """Draw a column of rows for each panel; a lone one has its rows side by side."""
    shown = _shown(found, sort)
    columns = min(len(shown), _MOST_COLUMNS)
    blocks = [shown[start : start + columns] for start in range(0, len(shown), columns)]
    order = [
        (panel, row) for block in blocks for row in sort.rows for panel in (*block, *[None] * (columns - len(block)))
    ]
    columns = len(sort.rows) if len(shown) == 1 else columns
    figure, axes = panel_figure(len(order), columns, 2.5, _keys(sort.counts(shown)))
    for number, (one, (panel, row)) in enumerate(zip(axes, order, strict=True)):
        if panel is None:
            one.set_visible(False)
            continue
        title = f"{panel.title}: {row.title}" if len(shown) == 1 else panel.title
        panel_label(one, title, "", row.unit if number % columns == 0 or len(shown) == 1 else "", columns)
        groups, dead = _groups(panel, sort), _collapsed(found, panel, sort)
        for place, group in enumerate(groups):
            _group(one, place, panel, row, group, dead)
        _name_groups(one, groups, columns)
    return figure


def _collapsed(found: Facts, panel: Panel, sort: _Sort) -> dict[tuple[str, str], str]:
    """Say of which victims, with their groups, the model does no better than guessing, and for how many seeds."""
    collapses, field = Collapses(found), "target" if sort is _TARGETS else "student"
    words = {}
    for (victim, target), own in panel.facts.by("victim", "target").items():
        dead = len(collapses.seeds(panel.data, panel.original, victim, target))
        for group in own.distinct(field) if dead else ():
            words[victim, group] = collapse_words(dead, len(own.distinct("seed")))
    return words


def _group(axes: Axes, place: int, panel: Panel, row: _Row, group: str, dead: Mapping[tuple[str, str], str]) -> None:
    series = [(victim, labels) for victim in _VICTIMS for labels in row.labels]
    for number, (victim, labels) in enumerate(series):
        found = row.find(panel, victim, group, labels)
        if found is not None:
            at = place + _WIDTH / len(series) * (number - (len(series) - 1) / 2)
            mark(axes, at, found.times(100), _VICTIMS[victim], hollow=labels == "hard", size=5)
            if (victim, group) in dead:
                absent(axes, at, dead[victim, group])


def _name_groups(axes: Axes, groups: Sequence[str], columns: int) -> None:
    names = [written(shortened(group, 22)) for group in groups]
    name_ticks(axes, names, columns)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.grid(visible=False, axis="x")
    for place in range(1, len(names)):
        axes.axvline(place - 0.5, color="#e6e5df", linewidth=0.8, zorder=0)


def _words(found: Facts, sort: _Sort) -> str:
    shown, told = _shown(found, sort), []
    for panel in shown:
        dead = _collapsed(found, panel, sort)
        for row in sort.rows:
            for group in _groups(panel, sort):
                said = [
                    f"{_TITLES[victim]}{f' ({dead[victim, group]})' if (victim, group) in dead else ''}"
                    f"{f' with {labels} labels' if len(row.labels) > 1 else ''} {share_words(one)}"
                    for victim in _VICTIMS
                    for labels in row.labels
                    if (one := row.find(panel, victim, group, labels)) is not None
                ]
                told.append(f"{panel.title}, {row.title}, {group}: {', '.join(said)}")
    return f"{'; '.join(told)}. In brackets: {whisker_words(sort.counts(shown))}."


def _keys(counts: frozenset[int]) -> list[Any]:
    keys = [mark_key(look, _TITLES[victim]) for victim, look in _VICTIMS.items()]
    shared: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 6}
    keys.append(line_key("filled: soft labels", SOFT_INK, **shared))
    keys.append(line_key("hollow: hard labels", SOFT_INK, markerfacecolor="white", **shared))
    return [*keys, whisker_key(counts)]
