"""The table of a study's data-free extraction attacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edgerift.extract import DataFreeTheft
from edgerift.facts import ATTACKS, PLAIN, Facts, Theft, Thefts, data_free_places, pooled
from edgerift.facts import readings as of
from edgerift.report.shared._collapses import Collapses
from edgerift.report.shared._comparisons import victim_title
from edgerift.report.shared._words import figure
from edgerift.report.tables._changes import changes_words
from edgerift.report.tables._columns import Column, Row, compared, measured, number, seeds_column, table
from edgerift.report.tables._registry import study_table
from edgerift.report.tables._table import Cell, Heading, StudyTable

_CLONE: Final = "Adversary's error (%)"
_DIFFERENCES: Final = "Finite differences"


@study_table(90)
def data_free(found: Facts) -> StudyTable | None:
    """Make the table of the data-free extraction attacks."""
    places = data_free_places(found)
    if not places:
        return None
    columns = [
        seeds_column(found),
        measured(of.DATA_FREE_SPENT),
        measured(of.DATA_FREE_DEFENDER),
        measured(of.DATA_FREE_ERROR, "clone", _CLONE),
        compared(of.DATA_FREE_ERROR, "minus QAT (points)", _CLONE),
        measured(of.DATA_FREE_DISAGREEMENT),
        measured(of.ZERO, "zero (%)", _DIFFERENCES, kind="share"),
        Column(Heading("correlation", _DIFFERENCES), lambda row: correlation(row.facts)),
        Column(Heading("blind", _DIFFERENCES), lambda row: blind(row.facts)),
    ]
    names = ("Data", "Network", "Attack", "Victim", "Epsilon, control")
    collapses = Collapses(found)
    rows = [_row(found, place, theft, collapses) for place in places for theft in place.all()]
    return table(
        "data-free", "Data-free extraction", _caption(found, places), found, names, columns, rows, place="theft",
        detail=True,
    )  # fmt: skip


def correlation(found: Facts) -> Cell:
    """Give the correlation of an attack's differences with the slopes; `none` where all of them were zero."""
    own = pooled(found.of(of.CORRELATION))
    known = found.of(of.BLIND)
    return "none" if known and own is None else number(own, len(found.distinct("seed")), decimals=2)


def blind(found: Facts) -> str | None:
    """Say whether an attack was blind, or for how many seeds."""
    known = [bool(fact.value) for fact in found.of(of.BLIND)]
    return None if not known else "yes" if all(known) else "no" if not any(known) else f"{sum(known)} of {len(known)}"


def _row(found: Facts, place: Thefts, theft: Theft, collapses: Collapses) -> Row:
    own = place.of(theft)
    seeds = len(own.of(of.DATA_FREE_ERROR))
    title = victim_title(found, theft.victim)
    base = None if theft.victim == PLAIN else place.of(theft._replace(victim=PLAIN))
    epsilon = "" if theft.epsilon is None else figure(theft.epsilon)
    names: tuple[Cell, ...] = (
        place.data,
        place.original if len(found.study.originals) > 1 else None,
        ATTACKS.get(theft.attack, theft.attack),
        collapses.mark(title, seeds, data=place.data, original=place.original, victim=theft.victim),
        ", ".join(filter(None, (epsilon, theft.control))) or None,
    )
    return Row(names, own, seeds, base)


def _caption(found: Facts, places: Iterable[Thefts]) -> str:
    attacks = dict.fromkeys(attack for place in places for attack in place.attacks)
    return (
        "Attackers whose generator makes the queries. Errors and disagreement of clone and victim are shares of the "
        f"test images; {budgets_words(found, attacks)}. Epsilon: the step size of a finite difference, before the "
        "generator's tanh. Finite differences: at the end of the budget, the share in which the victim's answer did "
        "not change at all, and the correlation with the true slopes, which no attack sees, of the victim in front of "
        "any defence of its answers. An attack is blind where the correlation's 95 % interval reaches below 0.1. "
        "Controls: float images rounded to whole grey levels for a float victim (whole pixels), "
        "and a build's quantized weights in float without any rounding (simulated). "
        f"{changes_words(theft.attack for theft in _documents(found))}"
    )


def budgets_words(found: Facts, attacks: Iterable[str]) -> str:
    """Name the clones and their queries, once for attacks with the same."""
    said: dict[str, list[str]] = {}
    for attack in attacks:
        own = [theft for theft in _documents(found) if theft.attack.name == attack]
        students = dict.fromkeys(theft.attack.student for theft in own)
        budgets = dict.fromkeys(f"{theft.budget:,}" for theft in own)
        words = f"{' or '.join(students)} clones, budgets of {' or '.join(budgets)} queries"
        said.setdefault(words, []).append(ATTACKS.get(attack, attack))
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in said.items())


def _documents(found: Facts) -> list[DataFreeTheft]:
    """List the attacks, by place and seed."""
    cells = found.result.data_free
    study = found.study
    order = [
        cell
        for data in study.data
        for original in study.originals
        for seed in study.seeds
        for cell in cells
        if (cell.data, cell.original, cell.seed) == (data, original, seed)
    ]
    return [entry.theft for cell in order for entry in cell.comparison.entries]
