"""The columns of a study's tables as queries on its facts: what was measured, what is printed, and differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from edgerift.facts import READINGS, Fact, Facts, Pooled, Reading, difference, pooled
from edgerift.report.tables._table import OURS, PAPER, Cell, Heading, Number, StudyTable, made_table
from edgerift.study import Study

Kind: TypeAlias = Literal["share", "points", "plain"]

#: How many decimals figures of a unit have.
_DECIMALS: Final = {"l1": 3, "nats": 4, "ms": 3, "ratio": 2, "count": 0, "kB": 0, "": 2, "share": 1, "p": 3}


@dataclass(frozen=True)
class Row:
    """A row: its names, its facts, those of the row that it is compared with, and what a paper prints for it.

    `planned` is the number of seeds that it is made of.
    """

    names: tuple[Cell, ...]
    facts: Facts
    planned: int
    base: Facts | None = None
    printed: Facts | None = None


@dataclass(frozen=True)
class Column:
    """A column: its heading, and what it says of a row."""

    heading: Heading
    cell: Callable[[Row], Cell]


def number(found: Pooled | None, planned: int, kind: Kind = "plain", decimals: int = 1) -> Number | None:
    """Write what seeds say together as a cell, with a note where they are not all that were planned."""
    if found is None:
        return None
    return Number(found.value, found.low, found.high, kind, decimals, seeds_note(found.count, planned))


def share(found: Iterable[Fact], planned: int) -> Number | None:
    """Average shares into percent."""
    return number(pooled(found, scale=100), planned, "share")


def points(first: Facts, second: Facts, planned: int) -> Number | None:
    """Average the difference of two shares, seed by seed, in points."""
    return number(difference(first, second, 100), planned, "points")


def measured(
    reading: Reading[Any],
    name: str = "",
    group: str = "",
    *,
    decimals: int | None = None,
    kind: Kind | None = None,
    **wanted: object,
) -> Column:
    """Make the column of a figure: shares are in percent, and those that were counted have their kind."""
    unit = reading.metric.unit
    places = _DECIMALS.get(unit, 1) if decimals is None else decimals

    def cell(row: Row) -> Cell:
        found = row.facts.of(reading, **wanted)
        counted = unit == "share" and any(fact.low is not None for fact in found)
        whole = pooled(found, scale=100.0 if unit == "share" else 1.0)
        return number(whole, row.planned, kind or ("share" if counted else "plain"), places)

    return Column(Heading(name or reading.metric.heading, group), cell)


def compared(reading: Reading[Any], name: str, group: str, **wanted: object) -> Column:
    """Make the column of a share's difference to that of the row that it is compared with, in points."""

    def cell(row: Row) -> Cell:
        if row.base is None:
            return None
        return points(row.facts.of(reading, **wanted), row.base.of(reading, **wanted), row.planned)

    return Column(Heading(name, group), cell)


def published(reading: Reading[Any], group: str, **wanted: object) -> Column:
    """Make the column of what a paper prints of a share."""

    def cell(row: Row) -> Cell:
        found = [] if row.printed is None else row.printed.of(reading, source="published", **wanted)
        return next((Number(round(100 * fact.value, 4), decimals=2) for fact in found), None)

    return Column(Heading(PAPER, group), cell)


def ours(reading: Reading[Any], group: str, **wanted: Any) -> Column:
    """Make the column of a figure that stands beside what a paper prints."""
    return measured(reading, OURS, group, **wanted)


def seeds_column(found: Facts) -> Column:
    """Make the column that says how many of the study's seeds a row is made of; it is left out where there is one."""
    whole = len(found.study.seeds)
    return Column(Heading("Seeds"), lambda row: seeds_words(row.planned, whole) if whole > 1 else None)


def table(
    name: str,
    title: str,
    caption: str,
    found: Facts,
    names: Sequence[str],
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    place: Literal["evasion", "theft"],
    detail: bool = False,
    paper: str = "",
    intervals: str | None = None,
) -> StudyTable:
    """Make a table of rows and columns, with those that readings declare for it at its end."""
    more = [measured(reading) for reading in READINGS if name in reading.tables]
    every = [*columns, *more]
    return made_table(
        name,
        title,
        caption,
        interval_words(found.study) if intervals is None else intervals,
        [*map(Heading, names), *(column.heading for column in every)],
        [[*row.names, *(column.cell(row) for column in every)] for row in rows],
        place=place,
        names=len(names),
        detail=detail,
        paper=paper,
    )


def seeds_note(count: int, planned: int) -> str:
    """Say over how many seeds a figure is, where it is not over all of them."""
    return "" if count == planned else f"{count} of {planned} seeds"


def seeds_words(count: int, planned: int) -> str:
    """Write how many seeds a row is over."""
    return str(count) if count == planned else f"{count} of {planned}"


#: What marks the intervals in tables.
_BRACKETS: Final = "Brackets, square around shares and their differences and round around other quantities"


def interval_words(study: Study, marks: str = _BRACKETS) -> str:
    """Say what the brackets are, or whatever the intervals are marked by."""
    exact = "the exact 95 % interval of the images (Clopper-Pearson; 1.96 standard errors for l1)"
    if len(study.seeds) == 1:
        return f"{marks}: {exact}; one seed gives no seed-to-seed variance."
    return (
        f"Figures are means over {len(study.seeds)} seeds. {marks}: the 95 % interval of such a mean, of Student's t "
        "with n - 1 degrees of freedom, cut where no figure can lie. A single seed, and seeds that agree exactly, have "
        f"{exact}, where there is one."
    )
