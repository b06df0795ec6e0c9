"""The main tables of a study's thefts: the victims, joint defences, and the targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from edgerift.harden import VariantPart, paper_row
from edgerift.measure import Interval
from edgerift.report.hardening._words import paper_note
from edgerift.report.records._comparisons import PLAIN, Comparison, Comparisons, joint, strengths_words
from edgerift.report.records._datafree import DataFreeThefts
from edgerift.report.shared._words import thief_words
from edgerift.report.tables._datafree import victim_cells, victim_headings, victim_words
from edgerift.report.tables._spread import difference, interval_words, means, seeds_words, shares
from edgerift.report.tables._table import OURS, PAPER, Cell, Heading, Number, StudyTable, made_table

#: A victim's and its clone's figures as the paper prints them, shares in [0, 1].
_Printed = tuple[float, float] | None
_Share = Callable[[VariantPart], Interval]

_DEFENDER: Final = "Defender's error (%)"
_SOFT: Final = "Adversary's error (%), soft labels"
_HARD: Final = "Adversary's error (%), hard labels"
_PLACES: Final = (Heading("Data"), Heading("Network"))
_TARGETS_NOTE: Final = (
    "The paper's figures are those of table V of arXiv:2512.23948, for a ResNet-18 victim and a soft-label thief."
)


def main_theft_tables(found: Comparisons, thefts: DataFreeThefts) -> list[StudyTable]:
    """Make the tables that the paper has: victims, joint defences and targets."""
    tables = [_victims(found, thefts), _joint(found), _targets(found)]
    return [table for table in tables if table.rows]


def tested_words(found: Comparisons) -> str:
    """Say how many test images there are."""
    counts = {one.data: next(iter(one.by_seed.values())).data.test for one in found.all()}
    return f"Test images: {', '.join(f'{data} {count:,}' for data, count in counts.items())}"


def asked_words(found: Comparisons) -> str:
    """Say who stole, and what with."""
    thief = found.each(lambda one: thief_words(one.thief.attack))
    asked = found.each(lambda one: f"{one.thief.spent:,} questions about {one.thief.name}")
    return f"The thief: {thief} (soft labels), or on the labels alone (hard labels); asked: {asked}"


def errors_words(found: Comparisons) -> str:
    """Say what the errors and the distance are."""
    return (
        "Shares of the test images, in percent. Defender's error: of the victim's answers, defences included; "
        "adversary's: of the clone of the last epoch. l1: mean distance of the answers to the plain QAT build's, from "
        f"0 to 2. {tested_words(found)}. {asked_words(found)}."
    )


def _headings(against: str) -> list[Heading]:
    minus = f"minus {against} (points)"
    return [
        Heading("l1"),
        *(Heading(name, _DEFENDER) for name in (OURS, PAPER, minus)),
        *(Heading(name, _SOFT) for name in (OURS, PAPER, minus)),
        *(Heading(name, _HARD) for name in (OURS, minus)),
    ]


def _figures(one: Comparison, name: str, printed: _Printed, against: str | None) -> list[Cell]:
    """Fill the columns of `_headings` for one row; `against` is the row that it is compared with."""
    parts = one.parts(name)
    defender, soft = (None, None) if printed is None else (_printed(printed[0]), _printed(printed[1]))

    def column(share: _Share, *paper: Cell) -> list[Cell]:
        own = one.shares(name, share)
        against_it = None if against is None else difference(own, one.shares(against, share), len(parts))
        return [shares(list(own.values()), len(parts)), *paper, against_it]

    return [
        means([part.l1 for part in parts.values()], len(parts)),
        *column(lambda part: part.defender_error, defender),
        *column(lambda part: part.adversary_error.soft, soft),
        *column(lambda part: part.adversary_error.hard),
    ]


def _printed(share: float) -> Number:
    return Number(round(100 * share, 4), decimals=2)


def _victims(found: Comparisons, thefts: DataFreeThefts) -> StudyTable:
    headings = [*_PLACES, Heading("Victim"), Heading("Seeds"), Heading("Strength"), *_headings("QAT")]
    headings += victim_headings()
    rows: list[list[Cell]] = []
    for one in found.first_target():
        for name in (name for name in one.names if not joint(name)):
            seeds = seeds_words(len(one.parts(name)), found.seeds)
            row: list[Cell] = [*found.places(one), one.title(name), seeds, strengths_words(one, name)]
            printed = _row_of_paper(found, one, name)
            own = _figures(one, name, printed, None if name == PLAIN else PLAIN)
            rows.append([*row, *own, *victim_cells(found, one, name, thefts)])
    strength = "Strength: the strongest that was allowed, from the least to the greatest of the seeds."
    return made_table(
        "victims",
        "Victims and their clones" + (" (the paper's table III)" if found.paper() else ""),
        f"{found.target_words()}. {errors_words(found)} {strength}{victim_words(found, thefts)}",
        interval_words(found.study),
        headings,
        rows,
        place="theft",
        names=3,
        paper=paper_note("server"),
    )


def _row_of_paper(found: Comparisons, one: Comparison, name: str) -> _Printed:
    # These tables are the paper's III and IV, which are of target server whatever the first target here is.
    printed = paper_row(one.source, name) if found.paper() else None
    return None if printed is None else (printed.defender_error, printed.adversary_error)


def _joint(found: Comparisons) -> StudyTable:
    headings = [*_PLACES, Heading("Victim"), Heading("Seeds"), Heading("Strength"), *_headings("QAT with it")]
    rows: list[list[Cell]] = []
    for one in found.first_target():
        for name, base in _joint_rows(one):
            seeds = seeds_words(len(one.parts(name)), found.seeds)
            row: list[Cell] = [*found.places(one), one.title(name), seeds, strengths_words(one, name)]
            rows.append([*row, *_figures(one, name, _row_of_paper(found, one, name), base)])
    paper = found.paper()
    return made_table(
        "joint-defences",
        "Joint defences" + (" (the paper's table IV)" if paper else ""),
        f"{found.target_words()}. {errors_words(found)} A defence of the answers alone, and joined with one of the "
        "training, which is compared with the former.",
        interval_words(found.study),
        headings,
        rows,
        place="theft",
        names=3,
        paper=paper_note("server"),
    )


def _joint_rows(one: Comparison) -> Iterator[tuple[str, str | None]]:
    """List the joint rows, each after the row that it is compared with, if there is one."""
    for name in filter(joint, one.names):
        base = name.rsplit("+", 1)[-1]
        if base in one.names:
            yield base, None
        yield name, base if base in one.names else None


def _targets(found: Comparisons) -> StudyTable:
    headings = [*_PLACES, Heading("Target"), Heading("Runtime"), Heading("Victim"), Heading("Seeds")]
    headings += _headings("QAT")
    rows: list[list[Cell]] = []
    everywhere = _everywhere(found)
    for one in found.all():
        for name in (name for name in one.names if name in everywhere):
            runtime = next(iter(one.by_seed.values())).runtime
            row: list[Cell] = [*found.places(one), one.target, runtime, one.title(name)]
            row.append(seeds_words(len(one.parts(name)), found.seeds))
            printed = paper_row(one.source, name, one.target) if found.paper() else None
            pair = None if printed is None else (printed.defender_error, printed.adversary_error)
            rows.append([*row, *_figures(one, name, pair, None if name == PLAIN else PLAIN)])
    return made_table(
        "targets",
        "Targets" + (" (the paper's table V)" if found.paper() else ""),
        errors_words(found),
        interval_words(found.study),
        headings,
        rows,
        place="theft",
        names=5,
        paper=_TARGETS_NOTE,
    )


def _everywhere(found: Comparisons) -> set[str]:
    """Name the rows that more than one target has."""
    assert found.study.theft is not None
    targets: dict[str, set[str]] = {}
    for one in found.all():
        for name in one.names:
            targets.setdefault(name, set()).add(one.target)
    return {name for name, seen in targets.items() if len(seen) > 1}
