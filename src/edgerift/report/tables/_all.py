"""All tables of a study."""

from __future__ import annotations

from edgerift.report.records._comparisons import Comparisons
from edgerift.report.records._datafree import DataFreeThefts
from edgerift.report.tables._datafree import data_free_tables
from edgerift.report.tables._evasion import evasion_tables
from edgerift.report.tables._table import StudyTable
from edgerift.report.tables._theft import main_theft_tables
from edgerift.report.tables._theft_more import more_theft_tables
from edgerift.study import StudyResult


def study_tables(result: StudyResult) -> list[StudyTable]:
    """Make the tables that a study's result has figures for."""
    tables = evasion_tables(result)
    found, thefts = Comparisons(result), DataFreeThefts(result)
    if result.thefts:
        tables += main_theft_tables(found, thefts)
    if result.data_free:
        tables += data_free_tables(found, thefts)
    if result.thefts:
        tables += more_theft_tables(found)
    return tables
