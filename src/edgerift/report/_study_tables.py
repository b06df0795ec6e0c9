"""All tables of a study."""

from __future__ import annotations

from edgerift.report._study_evasion import evasion_tables
from edgerift.report._study_table import StudyTable
from edgerift.report._study_theft import main_theft_tables
from edgerift.report._study_theft_more import more_theft_tables
from edgerift.report._study_thefts import Comparisons
from edgerift.study import StudyResult


def study_tables(result: StudyResult) -> list[StudyTable]:
    """Make the tables that a study's result has figures for."""
    tables = evasion_tables(result)
    if result.thefts:
        found = Comparisons(result)
        tables += [*main_theft_tables(found), *more_theft_tables(found)]
    return tables
