"""Reads the page of a study or of a run."""

from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

from edgerift.facts import facts
from edgerift.report import StudyTable
from edgerift.report.study._about import about_study
from edgerift.report.study._html import page_html
from edgerift.study import StudyResult

VOID = {"br", "img", "link", "meta", "path", "circle", "wbr"}


class Page(HTMLParser):
    """Reads a page: its tags, its words, and the cells of each table by the section that it stands in."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.section = ""
        self.cells: dict[str, list[list[str]]] = {}
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag == "section":
            self.section = dict(attrs)["id"] or ""
        if tag == "tr":
            self.cells.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.cells[self.section][-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("style", "script"):
            return
        self.words.append(data)
        if {"td", "th"} & set(self.open):
            self.cells[self.section][-1][-1] += f"{data} "

    @property
    def text(self) -> str:
        return plain(" ".join(" ".join(self.words).split()))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def table(self, table: StudyTable) -> list[list[str]]:
        """Give the rows below a table's headings, the words of a cell separated by single spaces."""
        rows = self.cells[table.name][1 + table.has_groups :]
        return [[plain(" ".join(cell.split())) for cell in row] for row in rows]


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def study_html(result: StudyResult, figures: Path, words: Mapping[str, str]) -> str:
    """Write the page of a study whose pictures are in a folder."""
    return page_html(facts(result), about_study(result), figures, words)
