"""A study as a person reads it in a terminal: the main figures of its tables, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.facts import ADAPTATIONS, ATTACKS, PLAIN, Facts, Thefts, data_free_places, facts, pooled
from edgerift.facts import readings as of
from edgerift.report.shared._collapses import Collapses
from edgerift.report.shared._comparisons import Comparison, first_target, target_words
from edgerift.report.shared._study import adaptations, attack_titles, networks, subject
from edgerift.report.shared._words import plain
from edgerift.report.study._about import About, about_study
from edgerift.report.tables._columns import interval_words, number, points, seeds_note, share
from edgerift.report.tables._data_free import correlation
from edgerift.report.tables._evasion import spots
from edgerift.report.tables._table import Cell
from edgerift.report.tables._text import rich_cell, rich_table, text_line
from edgerift.study import StudyResult

#: The number of missing cells that are named.
_NAMED: Final = 8


def study_text(result: StudyResult, folder: Path | None = None) -> RenderableType:
    """Lay a study out for rich: accuracies, success of the attacks and extraction, then what the brackets and gaps are.

    With the folder of :func:`write_study` it also says where the report is, which has all else.
    """
    return report_text(facts(result), about_study(result), folder)


def report_text(found: Facts, about: About, folder: Path | None) -> RenderableType:
    """Lay a report out for rich: its main tables, then its result in short and how it was measured."""
    parts: list[RenderableType] = [text_line(about.title)]
    parts += [_accuracy(found), _success(found)] if found.result.pairs else []
    parts += [_thefts(found, one) for one in first_target(found)]
    parts += [_without_images(found, place) for place in data_free_places(found)]
    lines = [interval_words(found.study, "Small figures")] if len(parts) > 1 else []
    lines += [about.subject, *about.lines]
    lines += [f"  {cell}" for cell in about.missing[:_NAMED]]
    lines += [f"  and {len(about.missing) - _NAMED} more"] if len(about.missing) > _NAMED else []
    lines += [said for _, said in about.notes]
    lines += [] if folder is None else [f"Report: {folder / 'report.html'}"]
    return Group(*parts, *map(text_line, lines))


def _accuracy(found: Facts) -> Table:
    names, planned = adaptations(found), len(found.study.seeds)
    headings = ("original", *(ADAPTATIONS[name] for name in names))
    table = rich_table("Accuracy (%)", ("data", "network"), headings)
    own = found.of(of.ORIGINAL_ACCURACY, of.ADAPTED_ACCURACY)
    by_victim = own.by("data", "original", "victim")
    for place in networks(own):
        shares = (share(by_victim.get((*place, name), ()), planned) for name in ("original", *names))
        table.add_row(*map(rich_cell, (*place, *shares)))
    return table


def _success(found: Facts) -> Table:
    assert found.study.evasion is not None
    attacks, planned = attack_titles(found.study, found.study.evasion.attacks), len(found.study.seeds)
    heading = "Evasive at any step (% of the attacked images): the original right, the adapted model wrong"
    table = rich_table(heading, ("data", "network", "adapted by"), tuple(attacks.values()))
    for (data, original, title), spot in spots(found):
        own = spot.of(of.EVASIVE).by("attack")
        cells = (share(own.get(attack, ()), planned) for attack in attacks)
        table.add_row(*map(rich_cell, (data, original, title, *cells)))
    return table


def _thefts(found: Facts, one: Comparison) -> Table:
    where = subject(found.study, one.data, one.original)
    headings = ("l1", "defender's\nerror", "adversary's\nerror, soft", "soft minus\nQAT", "\nhard")
    table = rich_table(f"{where}: victims and their clones, errors in %. {target_words(found)}", ("victim",), headings)
    for name in one.names:
        notes = filter(None, (one.strengths_words(name), seeds_note(len(one.seeds(name)), len(found.study.seeds))))
        title = Text.assemble(text_line(one.label(name)), *((f"\n{plain(note)}", "dim") for note in notes))
        table.add_row(title, *map(rich_cell, _theft_cells(one, name)))
    return table


def _theft_cells(one: Comparison, name: str) -> list[Cell]:
    count, own = len(one.seeds(name)), one.facts.where(victim=name)
    soft = own.of(of.CLONE_ERROR, labels="soft")
    return [
        number(pooled(own.of(of.L1)), count, decimals=3),
        share(own.of(of.DEFENDER_ERROR), count),
        share(soft, count),
        None if name == PLAIN else points(soft, one.facts.of(of.CLONE_ERROR, victim=PLAIN, labels="soft"), count),
        share(own.of(of.CLONE_ERROR, labels="hard"), count),
    ]


def _without_images(found: Facts, place: Thefts) -> Table:
    """Lay out the data-free attacks on one original, at the published epsilon and at the best one."""
    headings = ("clone's\nerror", "minus\nQAT", "zero\n(%)", "correl-\nation")
    title = f"{subject(found.study, place.data, place.original)}: data-free extraction, errors in %"
    collapses = Collapses(found)
    table = rich_table(title, ("attack", "victim", "epsilon"), headings)
    main = [one for attack in place.attacks for victim in place.victims for one in place.main(attack, victim)[::-1]]
    for theft in main:
        own = place.of(theft)
        errors = own.of(of.DATA_FREE_ERROR)
        base = place.of(theft._replace(victim=PLAIN)).of(of.DATA_FREE_ERROR)
        victim = collapses.mark(
            theft.victim, len(errors), data=place.data, original=place.original, victim=theft.victim
        )
        cells: list[Cell] = [
            ATTACKS.get(theft.attack, theft.attack),
            victim,
            None if theft.epsilon is None else f"{theft.epsilon:g}",
            share(errors, len(errors)),
            None if theft.victim == PLAIN else points(errors, base, len(errors)),
            share(own.of(of.ZERO), len(errors)),
            correlation(own),
        ]
        table.add_row(*map(rich_cell, cells))
    return table
