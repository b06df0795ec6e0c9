"""A study as Markdown: its missing cells, what held of the paper's claims, then every table under its heading."""

from __future__ import annotations

from edgerift.report._markdown import escaped, markdown_list, markdown_table
from edgerift.report._study._claims import CLAIMS, HEADINGS, claim_notes, claim_rows, claims_words
from edgerift.report._study._spread import interval_words
from edgerift.report._study._table import StudyTable, cell_words
from edgerift.report._study._tables import study_tables
from edgerift.report._study._words import PLACES, cells_words, missing_words, study_words
from edgerift.study import StudyResult


def study_markdown(result: StudyResult) -> str:
    """Write a study's tables as Markdown, each with a heading and a caption, below the missing cells and the claims."""
    blocks = [f"# {escaped(result.study.title)}", escaped(study_words(result)), escaped(cells_words(result))]
    if result.missing:
        blocks += ["Without a result:", markdown_list(map(missing_words, result.missing))]
    blocks.append(escaped(interval_words(result.study)))
    judged = claim_rows(result)
    if judged:
        rows = markdown_table(HEADINGS, (row.cells() for row in judged), len(HEADINGS))
        blocks += [f"## {CLAIMS}", escaped(claims_words(judged)), rows]
        notes = claim_notes(judged)
        blocks += [markdown_list(notes)] if notes else []
    tables = study_tables(result)
    for place, heading in PLACES.items():
        own = [table for table in tables if table.place == place]
        blocks += [f"## {heading}"] if own else []
        for table in own:
            blocks += [f"### {escaped(table.title)}", escaped(table.caption), _rows(table)]
    return "\n\n".join(blocks) + "\n"


def table_markdown(table: StudyTable) -> str:
    """Write one table as Markdown that stands alone."""
    caption = " ".join(filter(None, (table.caption, table.intervals)))
    return "\n\n".join((f"**{escaped(table.title)}**", escaped(caption), _rows(table))) + "\n"


def _rows(table: StudyTable) -> str:
    headings = [heading.line for heading in table.headings]
    return markdown_table(headings, ([cell_words(cell) for cell in row] for row in table.rows), table.names)
