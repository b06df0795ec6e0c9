"""A report as one self-contained HTML file, with a light and a dark theme."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edgerift.facts import Facts
from edgerift.report.figures._registry import Figure, figure_of
from edgerift.report.shared._page import asset, environment, policy
from edgerift.report.study._about import About
from edgerift.report.study._claims import CLAIMS, HEADINGS, claim_notes, claims_words
from edgerift.report.study._words import PLACES
from edgerift.report.tables._columns import interval_words
from edgerift.report.tables._registry import study_tables
from edgerift.report.tables._table import NOTHING, Number, Place, StudyTable, ends_words, value_words

_FIRST_MISSING: Final = 12

#: In dots; a picture of fewer columns than fit is narrower.
_SMALL_WIDTH: Final = 1300

#: A table of details with more rows is folded.
_LONG: Final = 12


@dataclass(frozen=True)
class Picture:
    """A picture to embed: `data` is the PNG file in base64, empty when it is missing; `words` say what it shows."""

    name: str
    title: str
    caption: str
    words: str
    data: str
    width: int
    height: int

    @property
    def small(self) -> bool:
        """Whether the picture has fewer panels than fill a page's width."""
        return 0 < self.width < _SMALL_WIDTH


@dataclass(frozen=True)
class Shown:
    """Pictures of one kind: the first is shown, the others on demand."""

    first: Picture
    others: tuple[Picture, ...]
    photographs: bool


@dataclass(frozen=True)
class Section:
    """A part of the page: a table, or none, and the pictures that go with it."""

    name: str
    title: str
    place: Place
    table: StudyTable | None
    pictures: tuple[Shown, ...]

    @property
    def short(self) -> str:
        """What the list of contents calls it: without what it is in the paper."""
        return self.title.partition(" (")[0]

    @property
    def folded(self) -> bool:
        """Whether the table is shown on demand."""
        return self.table is not None and self.table.detail and len(self.table.rows) > _LONG


def page_html(found: Facts, about: About, figures: Path, words: Mapping[str, str]) -> str:
    """Render a report as a self-contained HTML page.

    `words` says by name what each picture of the folder `figures` shows, as :func:`study_charts` gave it; those
    pictures are embedded, and one that is missing is said so in its place.
    """
    style, script = asset("report.css") + asset("study.css"), asset("report.js")
    made = environment()
    made.filters |= {"value_words": value_words, "ends_words": ends_words, "repeated": _repeated}
    made.tests |= {"measured": _is_number}
    values: dict[str, Any] = {
        "about": about,
        "lines": [_emphasised(line) for line in about.lines],
        "missing": about.missing[:_FIRST_MISSING],
        "more_missing": about.missing[_FIRST_MISSING:],
        "intervals": interval_words(found.study),
        "claims_title": CLAIMS,
        "claims_words": claims_words(about.claims),
        "claim_headings": HEADINGS,
        "claim_notes": claim_notes(about.claims),
        "sections": _sections(found, figures, words),
        "places": PLACES,
        "nothing": NOTHING,
        "style": style,
        "script": script,
        "policy": policy(style, script),
    }
    return made.get_template("study.html.j2").render(values)


def _emphasised(line: str) -> tuple[str, str]:
    """Split a line into its subject and its statement."""
    about, colon, said = line.partition(": ")
    return (about + colon, said) if colon else ("", line)


def _sections(found: Facts, folder: Path, words: Mapping[str, str]) -> list[Section]:
    """Order the tables and the pictures: each table with its own, then those of no table, place by place."""
    kinds: dict[str, list[Picture]] = {}
    figures: dict[str, Figure] = {}
    for name, said in words.items():
        figure, kind = figure_of(name, found), name.partition("-")[0]
        kinds.setdefault(kind, []).append(_read_picture(folder / f"{name}.png", figure.title, figure.caption, said))
        figures.setdefault(kind, figure)
    shown = {kind: _shown(pictures, figures[kind]) for kind, pictures in kinds.items()}
    tables = study_tables(found)
    names = {table.name for table in tables}
    sections: list[Section] = []
    for place in PLACES:
        whole = [
            Section(
                table.name,
                table.title,
                place,
                table,
                tuple(shown[kind] for kind in shown if figures[kind].beside == table.name),
            )
            for table in tables
            if table.place == place
        ]
        alone = [
            Section(kind, shown[kind].first.title.partition(":")[0], place, None, (shown[kind],))
            for kind, figure in figures.items()
            if figure.beside not in names and figure.place == place
        ]
        open_ones = [one for one in whole if one.table is not None and (not one.table.detail or one.pictures)]
        sections += [*open_ones, *alone, *(one for one in whole if one not in open_ones)]
    return sections


def _read_picture(path: Path, title: str, caption: str, words: str) -> Picture:
    """Read a picture to embed; one that is missing or damaged has no data."""
    try:
        content = path.read_bytes()
        width, height = struct.unpack(">II", content[16:24])
    except (OSError, struct.error):
        return Picture(path.name, title, caption, words, "", 0, 0)
    return Picture(path.name, title, caption, words, base64.b64encode(content).decode(), width, height)


def _shown(pictures: list[Picture], figure: Figure) -> Shown:
    first, *others = pictures
    # The caption is that of the kind: once is enough.
    return Shown(first, tuple(replace(one, caption="") for one in others), figure.photographs)


def _is_number(cell: object) -> bool:
    return isinstance(cell, Number)


def _repeated(table: StudyTable) -> list[int]:
    """Count for each row the first cells that say what the row above it says."""
    counts: list[int] = []
    for number, row in enumerate(table.rows):
        same = 0
        while number and same < table.names - 1 and row[same] == table.rows[number - 1][same]:
            same += 1
        counts.append(same)
    return counts
