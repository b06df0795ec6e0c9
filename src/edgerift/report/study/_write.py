"""A report, written into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift.facts import Facts, facts
from edgerift.report.figures._registry import study_charts
from edgerift.report.study._about import About, about_study
from edgerift.report.study._files import ReportFiles
from edgerift.report.study._html import page_html
from edgerift.report.study._markdown import page_markdown, table_markdown
from edgerift.report.tables._csv import records_csv, table_csv
from edgerift.report.tables._latex import table_latex
from edgerift.report.tables._registry import study_tables
from edgerift.steps import disk_errors, write_whole
from edgerift.study import StudyResult

RECORDS: Final = "records.csv"
TABLES: Final = "tables"
FIGURES: Final = "figures"
MARKDOWN: Final = "tables.md"
HTML: Final = "report.html"


def write_study(result: StudyResult, folder: Path) -> None:
    """Write a study's report into a folder, which is made where it is missing.

    `result.json` is the document itself; the other files are those of :func:`write_report`.
    """
    write_report(facts(result), about_study(result), folder, result.model_dump_json(indent=2))


def write_report(found: Facts, about: About, folder: Path, document: str) -> None:
    """Write a report into a folder, with the document that it was made of, in JSON.

    `records.csv` has every figure of every seed, `tables/NAME` each table as `.md`, `.csv` and `.tex`,
    `figures/NAME.png` the pictures, `tables.md` all of both and `report.html` one page of it all. A table or figure of
    an earlier report that this one lacks is removed, unless it was changed since; files that no report wrote
    stay. Raises :class:`~edgerift.errors.StoreError` when a file cannot be written.
    """
    folder = Path(folder)
    with disk_errors(folder):
        for needed in (TABLES, FIGURES):
            (folder / needed).mkdir(parents=True, exist_ok=True)
    write_whole(folder / RECORDS, records_csv(found))
    writers = {"md": table_markdown, "csv": table_csv, "tex": table_latex}
    tables, figures = ReportFiles(folder / TABLES), ReportFiles(folder / FIGURES)
    for table in study_tables(found):
        for ending, written in writers.items():
            tables.write(f"{table.name}.{ending}", written(table))
    tables.remove_earlier()
    words = study_charts(found, figures.write)
    figures.remove_earlier()
    write_whole(folder / MARKDOWN, page_markdown(found, about, words))
    write_whole(folder / HTML, page_html(found, about, folder / FIGURES, words))
    # The last file: where it stands, the others are of this document.
    write_whole(folder / about.file, document + "\n")
