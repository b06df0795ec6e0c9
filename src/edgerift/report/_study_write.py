"""The report of a study, written into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift.report._study_csv import table_csv
from edgerift.report._study_html import study_html
from edgerift.report._study_latex import table_latex
from edgerift.report._study_markdown import study_markdown, table_markdown
from edgerift.report._study_plots import study_charts
from edgerift.report._study_records import records_csv
from edgerift.report._study_tables import study_tables
from edgerift.store import write_whole
from edgerift.study import StudyResult

RESULT: Final = "result.json"
RECORDS: Final = "records.csv"
TABLES: Final = "tables"
FIGURES: Final = "figures"
MARKDOWN: Final = "tables.md"
HTML: Final = "report.html"


def write_study(result: StudyResult, folder: Path) -> None:
    """Write a study's report into a folder, which is made where it is missing.

    `result.json` is the document itself, `records.csv` every figure of every seed, `tables/NAME` each table as `.md`,
    `.csv` and `.tex`, `tables.md` all of them, `figures/NAME.png` the pictures and `report.html` one page of it all.
    Raises :class:`~edgerift.errors.StoreError` when a file cannot be written.
    """
    folder = Path(folder)
    for needed in (TABLES, FIGURES):
        (folder / needed).mkdir(parents=True, exist_ok=True)
    write_whole(folder / RECORDS, records_csv(result))
    writers = {"md": table_markdown, "csv": table_csv, "tex": table_latex}
    for table in study_tables(result):
        for ending, written in writers.items():
            write_whole(folder / TABLES / f"{table.name}.{ending}", written(table))
    write_whole(folder / MARKDOWN, study_markdown(result))
    words = study_charts(result, folder / FIGURES)
    write_whole(folder / HTML, study_html(result, folder / FIGURES, words))
    # The last file: where it stands, the others are of this result.
    write_whole(folder / RESULT, result.model_dump_json(indent=2) + "\n")
