"""Thefts side by side: by the network that steals (the second paper's figure 3), and by the target stolen from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from edgerift.harden import Hardening
from edgerift.measure import Interval
from edgerift.report.figures._panels import Panel, line_key, panel_figure, panel_label, panels, shortened
from edgerift.report.figures._seeds import (
    Measured,
    in_percent,
    mark,
    over_seeds,
    seed_counts,
    whisker_key,
    whisker_words,
)
from edgerift.report.shared._plots import INK, SOFT_INK, Look, mark_key, written
from edgerift.report.shared._words import percent
from edgerift.study import StudyResult, TheftCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_VICTIMS: Final[Mapping[str, Look]] = {"qat": Look(INK, "o"), "divqat": Look("#0072b2", "D")}
_TITLES: Final[Mapping[str, str]] = {"qat": "QAT", "divqat": "DivQAT"}
_WIDTH: Final = 0.6
_MOST_COLUMNS: Final = 4
_LETTER: Final = 0.075

Labels = Literal["soft", "hard"]
_LABELS: Final[tuple[Labels, ...]] = ("soft", "hard")


class _Row(NamedTuple):
    """One row of panels: what it shows of a victim in a group, an interval for each seed."""

    title: str
    unit: str
    labels: tuple[Labels, ...]
    find: Callable[[Hardening, str, str, Labels], Interval | None]


def has_clones(result: StudyResult) -> bool:
    """Tell whether other networks than the attack's own stole."""
    return bool(_clone_panels(result))


def draw_clones(result: StudyResult) -> Figure:
    """Draw the adversary's error and the disagreement for each network that steals, a column for each data set."""
    return _draw(result, _clone_panels(result), _CLONES, _students)


def clones_words(result: StudyResult) -> str:
    """Give every clone's error and disagreement."""
    return _words(_clone_panels(result), _CLONES, _students)


def has_targets(result: StudyResult) -> bool:
    """Tell whether more than one target was stolen from."""
    return bool(_target_panels(result))


def draw_targets(result: StudyResult) -> Figure:
    """Draw the defender's and the adversary's error for each target, a column for each data set."""
    return _draw(result, _target_panels(result), _TARGETS, _targets)


def targets_words(result: StudyResult) -> str:
    """Give both errors on every target."""
    return _words(_target_panels(result), _TARGETS, _targets)


def _clone_panels(result: StudyResult) -> list[Panel[TheftCell]]:
    return panels(result, (cell for cell in result.thefts if cell.hardening.students))


def _target_panels(result: StudyResult) -> list[Panel[TheftCell]]:
    return [panel for panel in panels(result, result.thefts) if len(_targets(panel)) > 1]


def _students(panel: Panel[TheftCell]) -> list[str]:
    """List who steals: the attack's own network first."""
    own = [cell.hardening.thief.attack.student for cell in panel.cells]
    return list(dict.fromkeys([*own, *(point.student for cell in panel.cells for point in cell.hardening.students)]))


def _targets(panel: Panel[TheftCell]) -> list[str]:
    return sorted({cell.target for cell in panel.cells})


def _clone(field: str, hardening: Hardening, victim: str, student: str, labels: Labels) -> Interval | None:
    """Find a figure of a network's clone; the attack's own network stole the victims themselves."""
    own = student == hardening.thief.attack.student and victim in hardening.victim
    found: Interval | None = getattr(getattr(hardening.victim[victim], field), labels) if own else None
    for point in hardening.students:
        if (point.victim, point.student, point.labels) == (victim, student, labels):
            found = getattr(point, field)
    return found


def _defender(hardening: Hardening, victim: str, target: str, labels: Labels) -> Interval | None:
    known = hardening.target == target and victim in hardening.victim
    return hardening.victim[victim].defender_error if known else None


def _adversary(hardening: Hardening, victim: str, target: str, labels: Labels) -> Interval | None:
    known = hardening.target == target and victim in hardening.victim
    return getattr(hardening.victim[victim].adversary_error, labels) if known else None


_CLONES: Final = (
    _Row("adversary's error", "the clone's wrong answers (%)", _LABELS, partial(_clone, "adversary_error")),
    _Row("disagreement", "clone and victim differ (%)", _LABELS, partial(_clone, "disagreement")),
)
_TARGETS: Final = (
    _Row("defender's error", "the build's wrong answers (%)", ("soft",), _defender),
    _Row("adversary's error", "the clone's wrong answers (%)", _LABELS, _adversary),
)


def _over_seeds(panel: Panel[TheftCell], row: _Row, victim: str, group: str, labels: Labels) -> Measured | None:
    found = [row.find(cell.hardening, victim, group, labels) for cell in panel.cells]
    known = [one for one in found if one is not None]
    return over_seeds(known) if known else None


def _draw(
    result: StudyResult,
    shown: Sequence[Panel[TheftCell]],
    rows: Sequence[_Row],
    groups_of: Callable[[Panel[TheftCell]], list[str]],
) -> Figure:
    """Draw a column of rows for each panel; a lone one has its rows side by side."""
    columns = min(len(shown), _MOST_COLUMNS)
    blocks = [shown[start : start + columns] for start in range(0, len(shown), columns)]
    order = [(panel, row) for block in blocks for row in rows for panel in (*block, *[None] * (columns - len(block)))]
    columns = len(rows) if len(shown) == 1 else columns
    cells = [cell for panel in shown for cell in panel.cells]
    figure, axes = panel_figure(len(order), columns, 2.5, _keys(seed_counts(cells)))
    for number, (one, (panel, row)) in enumerate(zip(axes, order, strict=True)):
        if panel is None:
            one.set_visible(False)
            continue
        title = f"{panel.title}: {row.title}" if len(shown) == 1 else panel.title
        panel_label(one, title, "", row.unit if number % columns == 0 or len(shown) == 1 else "", columns)
        groups = groups_of(panel)
        for place, group in enumerate(groups):
            _group(one, place, panel, row, group)
        _name_groups(one, groups, columns)
    return figure


def _group(axes: Axes, place: int, panel: Panel[TheftCell], row: _Row, group: str) -> None:
    series = [(victim, labels) for victim in _VICTIMS for labels in row.labels]
    for number, (victim, labels) in enumerate(series):
        found = _over_seeds(panel, row, victim, group, labels)
        if found is not None:
            at = place + _WIDTH / len(series) * (number - (len(series) - 1) / 2)
            mark(axes, at, in_percent(found), _VICTIMS[victim], hollow=labels == "hard", size=5)


def _name_groups(axes: Axes, groups: Sequence[str], columns: int) -> None:
    names = [written(shortened(group, 22)) for group in groups]
    room = (8.0 / columns - 0.6) / len(names)
    turned: dict[str, Any] = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), names, **(turned if max(map(len, names)) * _LETTER > room else {}))
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.grid(visible=False, axis="x")
    for place in range(1, len(names)):
        axes.axvline(place - 0.5, color="#e6e5df", linewidth=0.8, zorder=0)


def _words(
    shown: Sequence[Panel[TheftCell]], rows: Sequence[_Row], groups_of: Callable[[Panel[TheftCell]], list[str]]
) -> str:
    told = []
    for panel in shown:
        for row in rows:
            for group in groups_of(panel):
                found = [
                    f"{_TITLES[victim]}{f' with {labels} labels' if len(row.labels) > 1 else ''} "
                    f"{percent(one.value)} ({100 * one.low:.1f} to {100 * one.high:.1f})"
                    for victim in _VICTIMS
                    for labels in row.labels
                    if (one := _over_seeds(panel, row, victim, group, labels)) is not None
                ]
                told.append(f"{panel.title}, {row.title}, {group}: {', '.join(found)}")
    counts = seed_counts([cell for panel in shown for cell in panel.cells])
    return f"{'; '.join(told)}. In brackets: {whisker_words(counts)}."


def _keys(counts: frozenset[int]) -> list[Any]:
    keys = [mark_key(look, _TITLES[victim]) for victim, look in _VICTIMS.items()]
    shared: dict[str, Any] = {"linestyle": "", "marker": "o", "markersize": 6}
    keys.append(line_key("filled: soft labels", SOFT_INK, **shared))
    keys.append(line_key("hollow: hard labels", SOFT_INK, markerfacecolor="white", **shared))
    return [*keys, whisker_key(counts)]
