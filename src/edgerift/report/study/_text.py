"""A study as a person reads it in a terminal: the main figures of its tables, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.report.figures._panels import ADAPTATIONS, subject
from edgerift.report.records._comparisons import PLAIN, Comparison, Comparisons
from edgerift.report.records._datafree import ATTACKS, DataFreeThefts, Place
from edgerift.report.records._evasions import Evasions
from edgerift.report.shared._words import plain
from edgerift.report.study._words import cells_words, missing_words, study_words
from edgerift.report.tables._datafree import sight_cells
from edgerift.report.tables._spread import difference, interval_words, means, seeds_note, shares
from edgerift.report.tables._table import Cell, Number, cell_words, ends_words, value_words
from edgerift.study import StudyResult

#: So many missing cells are named.
_NAMED: Final = 8
#: So many letters a line of a victim's name has at the least.
_NAME: Final = 13


def study_text(result: StudyResult, folder: Path | None = None) -> RenderableType:
    """Lay a study out for rich: accuracies, success of the attacks and thefts, then what the brackets and gaps are.

    With the folder of :func:`write_study` it also says where the report is, which has all else.
    """
    parts: list[RenderableType] = [_line(result.study.title)]
    if result.pairs:
        evasions = Evasions(result)
        parts += [_accuracy(evasions), _success(evasions)]
    if result.thefts:
        comparisons = Comparisons(result)
        parts += [_thefts(comparisons, one) for one in comparisons.first_target()]
    parts += [_without_images(result, place) for place in DataFreeThefts(result).all()]
    has_figures = result.pairs or result.thefts or result.data_free
    lines = [interval_words(result.study, "Small figures")] if has_figures else []
    lines += [study_words(result), cells_words(result)]
    lines += [f"  {missing_words(cell)}" for cell in result.missing[:_NAMED]]
    lines += [f"  and {len(result.missing) - _NAMED} more"] if len(result.missing) > _NAMED else []
    lines += [] if folder is None else [f"Report: {folder / 'report.html'}"]
    return Group(*parts, *map(_line, lines))


def _accuracy(found: Evasions) -> Table:
    table = _table(
        "Accuracy (%)", ("data", "network"), ("original", *(ADAPTATIONS[name] for name in found.adaptations))
    )
    for data, original in found.networks():
        reports = found.original_reports(data, original)
        cells: list[Cell] = [data, original, shares([one.original_accuracy for one in reports], found.seeds)]
        for name in found.adaptations:
            adapted = found.spot(data, original, name).reports.values()
            cells.append(shares([one.build_accuracy for one in adapted], found.seeds))
        table.add_row(*map(_cell, cells))
    return table


def _success(found: Evasions) -> Table:
    assert found.study.evasion is not None
    attacks = list(found.study.evasion.attacks)
    title = "Evasive at any step (% of the attacked images): the original right, the adapted model wrong"
    table = _table(title, ("data", "network", "adapted by"), tuple(map(found.title, attacks)))
    for spot in found.spots():
        parts = ([one.attacks[name] for one in spot.reports.values() if name in one.attacks] for name in attacks)
        cells = (shares([part.evasive for part in own], found.seeds) for own in parts)
        table.add_row(*map(_cell, (*spot.names, *cells)))
    return table


def _thefts(found: Comparisons, one: Comparison) -> Table:
    where = ", ".join(place for place in found.places(one) if isinstance(place, str))
    headings = ("l1", "defender's\nerror", "adversary's\nerror, soft", "soft minus\nQAT", "\nhard")
    table = _table(f"{where}: victims and their clones, errors in %. {found.target_words()}", ("victim",), headings)
    for name in one.names:
        seeds = seeds_note(len(one.parts(name)), found.seeds)
        title = Text.assemble(_line(one.title(name)), *([(f"\n{seeds}", "dim")] if seeds else []))
        table.add_row(title, *map(_cell, _theft_cells(one, name)))
    return table


def _theft_cells(one: Comparison, name: str) -> list[Cell]:
    parts = list(one.parts(name).values())
    count = len(parts)
    soft, base = (one.shares(row, lambda part: part.adversary_error.soft) for row in (name, PLAIN))
    return [
        means([part.l1 for part in parts], count),
        shares([part.defender_error for part in parts], count),
        shares(list(soft.values()), count),
        None if name == PLAIN else difference(soft, base, count),
        shares([part.adversary_error.hard for part in parts], count),
    ]


def _without_images(result: StudyResult, place: Place) -> Table:
    """Lay out the thefts without images of one original, at the published epsilon and at the best one."""
    headings = ("clone's\nerror", "minus\nQAT", "zero\n(%)", "correl-\nation")
    title = f"{subject(result, place.data, place.original)}: thefts without images, errors in %"
    table = _table(title, ("attack", "victim", "epsilon"), headings)
    main = [one for attack in place.attacks for victim in place.victims for one in place.main(attack, victim)[::-1]]
    for theft in main:
        entries = place.entries(theft)
        count = len(entries)
        own, base = place.errors(theft), place.errors(theft._replace(victim=PLAIN))
        zero, correlation, _ = sight_cells(list(entries.values()))
        cells: list[Cell] = [
            ATTACKS.get(theft.attack, theft.attack),
            theft.victim,
            None if theft.epsilon is None else f"{theft.epsilon:g}",
            shares(list(own.values()), count),
            None if theft.victim == PLAIN else difference(own, base, count),
            zero,
            correlation,
        ]
        table.add_row(*map(_cell, cells))
    return table


def _table(title: str, names: Sequence[str], headings: Sequence[str]) -> Table:
    table = Table(title=_line(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold", min_width=min(_NAME, len(name)) if len(names) > 1 else _NAME)
    for heading in headings:
        table.add_column(_line(heading), justify="right", no_wrap=True)
    return table


def _cell(cell: Cell) -> Text:
    if not isinstance(cell, Number):
        return _line(cell_words(cell))
    # Without its brackets and its space an interval leaves room for a column more.
    ends = ends_words(cell).strip("[]()").replace("\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}", "–")
    ends = ends.replace(",\N{NO-BREAK SPACE}", " to " if cell.kind == "points" else "–")
    below = "\n".join(filter(None, (ends, cell.note)))
    return Text.assemble(value_words(cell), *([(f"\n{below}", "dim")] if below else []))


def _line(text: str) -> Text:
    return Text(plain(text))
