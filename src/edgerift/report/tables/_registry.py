"""The tables of a study: each registers itself, and is found in any module of this package."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import TypeAlias

from edgerift.facts import Facts
from edgerift.report import tables
from edgerift.report.tables._table import StudyTable

Make: TypeAlias = Callable[[Facts], StudyTable | None]

_TABLES: list[tuple[int, Make]] = []


def study_table(order: int) -> Callable[[Make], Make]:
    """Register what makes a table of a study's facts, None where there is none; tables stand by their order."""

    def register(make: Make) -> Make:
        _TABLES.append((order, make))
        return make

    return register


def study_tables(found: Facts) -> list[StudyTable]:
    """Make the tables that a study has facts for."""
    for module in iter_modules(tables.__path__):
        import_module(f"{tables.__name__}.{module.name}")
    made = [make(found) for _, make in sorted(_TABLES, key=lambda entry: entry[0])]
    return [one for one in made if one is not None and one.rows]
