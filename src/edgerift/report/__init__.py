"""Reports for people and for CI: cards of builds, audits, comparisons of hardened victims, extraction, sweeps, studies.

An audit is written as text, HTML, Markdown, SARIF and JUnit XML; a study, and a comparison as a study of one cell, as
text, HTML, pictures and tables in Markdown, CSV and LaTeX.
"""

from typing import TYPE_CHECKING

from edgerift._lazy import exported

if TYPE_CHECKING:
    from edgerift.report.audit._html import audit_html as audit_html
    from edgerift.report.audit._junit import audit_junit as audit_junit
    from edgerift.report.audit._places import place_in_repository as place_in_repository
    from edgerift.report.audit._sarif import audit_sarif as audit_sarif
    from edgerift.report.audit._summary import append_ci_summary as append_ci_summary
    from edgerift.report.audit._summary import audit_summary as audit_summary
    from edgerift.report.audit._text import audit_text as audit_text
    from edgerift.report.audit._write import write_reports as write_reports
    from edgerift.report.card._card import Card as Card
    from edgerift.report.card._card import FidelityEntry as FidelityEntry
    from edgerift.report.card._card import make_card as make_card
    from edgerift.report.card._integrity import changed_since as changed_since
    from edgerift.report.card._text import card_text as card_text
    from edgerift.report.figures._curve import curve_figure as curve_figure
    from edgerift.report.figures._registry import Chart as Chart
    from edgerift.report.figures._registry import figure_of as figure_of
    from edgerift.report.figures._registry import study_charts as study_charts
    from edgerift.report.figures._registry import study_figure as study_figure
    from edgerift.report.hardening._attack_text import data_free_text as data_free_text
    from edgerift.report.hardening._attack_text import theft_text as theft_text
    from edgerift.report.hardening._defend import defend_text as defend_text
    from edgerift.report.hardening._defend import write_defending as write_defending
    from edgerift.report.hardening._evasion import evasion_hardening_text as evasion_hardening_text
    from edgerift.report.hardening._evasion import write_evasion_hardening as write_evasion_hardening
    from edgerift.report.hardening._write import hardening_text as hardening_text
    from edgerift.report.hardening._write import write_hardening as write_hardening
    from edgerift.report.study._markdown import study_markdown as study_markdown
    from edgerift.report.study._plan_text import plan_text as plan_text
    from edgerift.report.study._results import results_markdown as results_markdown
    from edgerift.report.study._text import study_text as study_text
    from edgerift.report.study._write import write_study as write_study
    from edgerift.report.tables._columns import Column as Column
    from edgerift.report.tables._columns import Row as Row
    from edgerift.report.tables._columns import compared as compared
    from edgerift.report.tables._columns import measured as measured
    from edgerift.report.tables._columns import published as published
    from edgerift.report.tables._columns import table as table
    from edgerift.report.tables._csv import records_csv as records_csv
    from edgerift.report.tables._csv import table_csv as table_csv
    from edgerift.report.tables._latex import table_latex as table_latex
    from edgerift.report.tables._registry import study_table as study_table
    from edgerift.report.tables._registry import study_tables as study_tables
    from edgerift.report.tables._table import Cell as Cell
    from edgerift.report.tables._table import Heading as Heading
    from edgerift.report.tables._table import Number as Number
    from edgerift.report.tables._table import StudyTable as StudyTable
else:
    __getattr__, __dir__, __all__ = exported(__name__)
