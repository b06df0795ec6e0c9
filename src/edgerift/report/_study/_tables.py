"""All tables of a study."""

from __future__ import annotations

from edgerift.report._study._comparisons import Comparisons
from edgerift.report._study._table import StudyTable
from edgerift.report._study._tables_evasion import evasion_tables
from edgerift.report._study._tables_theft import main_theft_tables
from edgerift.report._study._tables_theft_more import more_theft_tables
from edgerift.study import StudyResult


def study_tables(result: StudyResult) -> list[StudyTable]:
    """Make the tables that a study's result has figures for."""
    tables = evasion_tables(result)
    if result.thefts:
        found = Comparisons(result)
        tables += [*main_theft_tables(found), *more_theft_tables(found)]
    return tables
