"""A study as Markdown: an index, missing cells, what held of the paper's claims, then every table and the figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from edgerift.facts import Facts, facts
from edgerift.report.figures._registry import figure_of
from edgerift.report.shared._markdown import escaped, markdown_list, markdown_table
from edgerift.report.study._about import About, about_study
from edgerift.report.study._claims import CLAIMS, HEADINGS, ClaimRow, claim_notes, claims_words
from edgerift.report.study._words import PLACES
from edgerift.report.tables._columns import interval_words
from edgerift.report.tables._registry import study_tables
from edgerift.report.tables._table import StudyTable, cell_words
from edgerift.study import StudyResult

_FIGURES: Final = "Figures"

#: Where the pictures are, as a page beside them links them.
_FOLDER: Final = "figures"
_PAGE: Final = "report.html"


def study_markdown(result: StudyResult, figures: Mapping[str, str] | None = None) -> str:
    """Write a study's tables as Markdown, each with a heading and a caption, below an index and the claims.

    `figures` says by name what each picture of the folder `figures` beside the page shows, as :func:`study_charts` gave
    it: those of the whole study are shown, and of those of single networks it is said where they are.
    """
    return page_markdown(facts(result), about_study(result), figures or {})


def page_markdown(found: Facts, about: About, figures: Mapping[str, str]) -> str:
    """Write a report as Markdown."""
    tables = study_tables(found)
    blocks = [f"# {escaped(about.title)}", escaped(about.subject), *map(escaped, about.lines)]
    blocks += [f"Made by `{about.made}`."] if about.made else []
    blocks.append(_index(([CLAIMS] if about.claims else []) + [table.title for table in tables], bool(figures)))
    if about.missing:
        blocks += ["Without a result:", markdown_list(about.missing)]
    blocks += [escaped(interval_words(found.study)), *_claims(about.claims)]
    for place, heading in PLACES.items():
        own = [table for table in tables if table.place == place]
        blocks += [f"## {heading}"] if own else []
        for table in own:
            blocks += [f"### {escaped(table.title)}", escaped(table.caption), table_rows(table)]
    if about.notes:
        blocks += ["## How it was measured", markdown_list(said for _, said in about.notes)]
    return "\n\n".join([*blocks, *_figures(found, figures)]) + "\n"


def _claims(judged: Sequence[ClaimRow]) -> list[str]:
    if not judged:
        return []
    rows = markdown_table(HEADINGS, (row.cells() for row in judged), len(HEADINGS))
    notes = claim_notes(judged)
    return [f"## {CLAIMS}", escaped(claims_words(judged)), rows, *([markdown_list(notes)] if notes else [])]


def _index(titles: Sequence[str], figures: bool) -> str:
    """Link the headings, whose names in the page are theirs in small letters with hyphens."""
    links = [f"- [{escaped(title)}](#{_anchor(title)})" for title in titles]
    return "\n".join([*links, *([f"- [{_FIGURES}](#{_anchor(_FIGURES)})"] if figures else [])])


def _anchor(title: str) -> str:
    """Write the name that GitHub and MkDocs give a heading.

    >>> _anchor("Victims and their clones (the paper's table III)")
    'victims-and-their-clones-the-papers-table-iii'
    """
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.strip().lower()))


def _figures(found: Facts, words: Mapping[str, str]) -> list[str]:
    """Show the figures of the whole study, and say where those of single networks are."""
    blocks = [f"## {_FIGURES}"] if words else []
    kinds = Counter(kind for kind, single, _ in (name.partition("-") for name in words) if single)
    for name in words:
        if "-" not in name:
            shown = figure_of(name, found)
            title = escaped(shown.title)
            blocks += [f"### {title}", escaped(shown.caption), f"![{title}]({_FOLDER}/{name}.png)"]
    if kinds:
        counts = ", ".join(f"{figure_of(kind, found).title} ({count})" for kind, count in kinds.items())
        blocks.append(f"Of single networks, on the [page]({_PAGE}) and in the folder {_FOLDER}: {escaped(counts)}.")
    return blocks


def table_markdown(table: StudyTable) -> str:
    """Write one table as Markdown that stands alone."""
    caption = " ".join(filter(None, (table.caption, table.intervals)))
    return "\n\n".join((f"**{escaped(table.title)}**", escaped(caption), table_rows(table))) + "\n"


def table_rows(table: StudyTable) -> str:
    """Write a table's headings and rows."""
    headings = [heading.line for heading in table.headings]
    return markdown_table(headings, ([cell_words(cell) for cell in row] for row in table.rows), texts=table.texts)
