"""Tables in a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from edgerift.report.shared._words import plain
from edgerift.report.tables._table import Cell, Number, StudyTable, cell_words, ends_words, value_words

#: The least width of a column of names that stands alone.
_NAME: Final = 13
#: The most letters of a line of a heading.
_HEADING: Final = 8


def table_text(table: StudyTable) -> Table:
    """Lay a table out for rich, its headings in narrow lines."""
    names, others = table.headings[: table.names], table.headings[table.names :]
    wrapped = [textwrap.fill(one.line, _HEADING, break_long_words=False) for one in others]
    made = rich_table(table.title, [one.line for one in names], wrapped, least=0)
    for row in table.rows:
        made.add_row(*map(rich_cell, row))
    return made


def rich_table(title: str, names: Sequence[str], headings: Sequence[str], least: int = _NAME) -> Table:
    """Make a table without rows: columns of names at the left, and of figures at the right.

    A lone column of names is at least `least` wide.
    """
    table = Table(title=text_line(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold", min_width=min(_NAME, len(name)) if len(names) > 1 else least)
    for heading in headings:
        table.add_column(text_line(heading), justify="right", no_wrap=True)
    return table


def rich_cell(cell: Cell) -> Text:
    """Write a cell, an interval below its figure."""
    if not isinstance(cell, Number):
        return text_line(cell_words(cell))
    # Without its brackets and its space an interval leaves room for a column more.
    ends = ends_words(cell).strip("[]()").replace("\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}", "–")
    ends = ends.replace(",\N{NO-BREAK SPACE}", " to " if cell.kind == "points" else "–")
    below = "\n".join(filter(None, (ends, cell.note)))
    return Text.assemble(value_words(cell), *([(f"\n{below}", "dim")] if below else []))


def text_line(text: str) -> Text:
    """Show text as it is: a name from a file is neither markup nor a command to the terminal."""
    return Text(plain(text))
