"""The tables of a study: each registers itself, and is found in any module of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from edgerift.facts import Facts
from edgerift.report.tables._table import StudyTable
from edgerift.settings import Registry

Make: TypeAlias = Callable[[Facts], StudyTable | None]

TABLES: Final[Registry[Make]] = Registry("table", "edgerift.report.tables")


def study_table(order: int) -> Callable[[Make], Make]:
    """Register what makes a table of a study's facts, None where there is none; tables stand by their order."""

    def register(make: Make) -> Make:
        return TABLES.register(f"{make.__module__}.{make.__qualname__}", make, rank=order)

    return register


def study_tables(found: Facts) -> list[StudyTable]:
    """Make the tables that a study has facts for."""
    made = [make(found) for make in TABLES.parts()]
    return [one for one in made if one is not None and one.rows]
