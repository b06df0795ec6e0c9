"""The table of a study's thefts without images, and what they add to the table of its victims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from edgerift.harden import DataFreeEntry, paper_clone_error
from edgerift.report.hardening._words import figure
from edgerift.report.records._comparisons import PLAIN, Comparison, Comparisons
from edgerift.report.records._datafree import ATTACKS, PAPER_ATTACKS, DataFreeThefts, Place, Theft, published_thefts
from edgerift.report.tables._changes import changes_words
from edgerift.report.tables._spread import average, difference, interval_words, seeds_words, shares
from edgerift.report.tables._table import OURS, PAPER, Cell, Heading, Number, StudyTable, made_table

_PLACES: Final = (Heading("Data"), Heading("Network"))
_MINUS: Final = "minus QAT (points)"
_GROUPS: Final = {column: f"Adversary's error (%), {column}" for column in PAPER_ATTACKS}
_CLONE: Final = "Adversary's error (%)"
_DIFFERENCES: Final = "Finite differences"


def data_free_tables(found: Comparisons, thefts: DataFreeThefts) -> list[StudyTable]:
    """Make the table of the thefts without images; none without any."""
    headings = [*_PLACES, *map(Heading, ("Attack", "Victim", "Epsilon, control", "Seeds", "Questions"))]
    headings += [Heading("Defender's error (%)"), Heading("clone", _CLONE), Heading(_MINUS, _CLONE)]
    headings += [Heading("Disagreement (%)")]
    headings += [Heading(name, _DIFFERENCES) for name in ("zero (%)", "correlation", "blind")]
    rows = [_row(found, thefts, place, theft) for place in thefts.all() for theft in place.thefts()]
    if not rows:
        return []
    return [
        made_table(
            "data-free",
            "Thefts without images",
            _caption(found, thefts),
            interval_words(found.study),
            headings,
            rows,
            place="theft",
            names=5,
            detail=True,
        )
    ]


def victim_headings() -> list[Heading]:
    """Head the columns that thefts without images add to the table of the victims."""
    return [Heading(name, group) for group in _GROUPS.values() for name in (OURS, PAPER, _MINUS)]


def victim_cells(found: Comparisons, one: Comparison, name: str, thefts: DataFreeThefts) -> list[Cell]:
    """Fill the columns of `victim_headings` for one victim: the seeds of its row that have such a theft."""
    place, seeds = thefts.at(one.data, one.original), one.parts(name)
    cells: list[Cell] = []
    for attack in PAPER_ATTACKS.values():
        own = {} if place is None else place.errors(place.as_published(attack, name))
        plain = {} if place is None else place.errors(place.as_published(attack, PLAIN))
        own = {seed: error for seed, error in own.items() if seed in seeds}
        printed = paper_clone_error(one.source, name, attack) if own and found.paper() else None
        cells += [
            shares(list(own.values()), len(seeds)),
            None if printed is None else Number(round(100 * printed, 4), decimals=2),
            None if name == PLAIN else difference(own, plain, len(seeds)),
        ]
    return cells


def victim_words(found: Comparisons, thefts: DataFreeThefts) -> str:
    """Say who the thieves without images are that the table of the victims has columns of; nothing without any."""
    columns = {column: attack for place in thefts.all() for column, attack in published_thefts(place)}
    if not columns:
        return ""
    theirs = " The paper's MAZE is what the code of DFME runs under that name." if "MAZE" in columns else ""
    return (
        f" {' and '.join(columns)}: thieves without images, at the published epsilon; "
        f"{_budgets(thefts, columns.values())}.{theirs} What else is not as published is told below the table of the "
        "thefts without images. Where they were blind, which that table tells, a figure tells of the training only as "
        "far as the same theft without rounding takes no more."
    )


def _row(found: Comparisons, thefts: DataFreeThefts, place: Place, theft: Theft) -> list[Cell]:
    entries = place.entries(theft)
    count, own = len(entries), list(entries.values())
    plain = place.errors(theft._replace(victim=PLAIN))
    return [
        place.data,
        place.original if len(found.study.originals) > 1 else None,
        ATTACKS.get(theft.attack, theft.attack),
        thefts.title(theft.victim),
        ", ".join(filter(None, ("" if theft.epsilon is None else figure(theft.epsilon), theft.control))) or None,
        seeds_words(count, found.seeds),
        average([float(entry.theft.spent) for entry in own], count, 0),
        shares([entry.theft.defender_error for entry in own], count),
        shares([entry.theft.adversary_error for entry in own], count),
        None if theft.victim == PLAIN else difference(place.errors(theft), plain, count),
        shares([entry.theft.disagreement for entry in own], count),
        *sight_cells(own),
    ]


def sight_cells(entries: Sequence[DataFreeEntry]) -> list[Cell]:
    """Say how many differences were zero, how the others follow the slopes, and whether the attack was blind."""
    count = len(entries)
    zero = [None if entry.zero_share is None else 100 * entry.zero_share for entry in entries]
    known = [entry.masking for entry in entries if entry.masking is not None]
    slopes = [one.correlation for one in known]
    correlation: Cell = average(slopes, count, 2, within=(-1.0, 1.0))
    blind = [entry.is_blind for entry in entries if entry.is_blind is not None]
    return [
        average(zero, count, 1, kind="share", within=(0.0, 100.0)),
        "none" if known and correlation is None else correlation,
        None if not blind else "yes" if all(blind) else "no" if not any(blind) else f"{sum(blind)} of {len(blind)}",
    ]


def _caption(found: Comparisons, thefts: DataFreeThefts) -> str:
    attacks = dict.fromkeys(attack for place in thefts.all() for attack in place.attacks)
    return (
        "Thieves whose generator makes the questions. Errors and disagreement of clone and victim are shares of the "
        f"test images; {_budgets(thefts, attacks)}. Epsilon: how far a finite difference goes, before the generator's "
        "tanh. Finite differences: at the end of the budget, the share in which the victim's answer did not change at "
        "all, and the correlation with the true slopes, which no attack sees, of the victim in front of any defence "
        "of its answers. An attack is blind where the correlation's 95 % interval reaches below 0.1. "
        "Controls: float images rounded to whole grey levels for a float victim (whole pixels), "
        "and a build's quantized weights in float without any rounding (simulated). "
        f"{changes_words(entry.theft.attack for entry in _entries(thefts))}"
    )


def _entries(thefts: DataFreeThefts) -> Iterator[DataFreeEntry]:
    for place in thefts.all():
        for one in place.by_seed.values():
            yield from one.entries


def _budgets(thefts: DataFreeThefts, attacks: Iterable[str]) -> str:
    """Say which clones learn from how many questions, once for attacks that have the same."""
    said: dict[str, list[str]] = {}
    for attack in attacks:
        entries = [entry for entry in _entries(thefts) if entry.attack == attack]
        students = dict.fromkeys(entry.theft.attack.student for entry in entries)
        budgets = dict.fromkeys(f"{entry.theft.budget:,}" for entry in entries)
        words = f"{' or '.join(students)} clones, budgets of {' or '.join(budgets)} questions"
        said.setdefault(words, []).append(ATTACKS.get(attack, attack))
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in said.items())
