"""Tables of a study as LaTeX: no wider than the text and no higher than the page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, Literal

from edgerift.report.shared._words import plain
from edgerift.report.tables._table import Cell, Number, StudyTable, cell_words, ends_words, value_words

_BREAK: Final = r"\\"

#: The most letters in a line of a heading, and of a cell of text.
_HEADING: Final = 12
_TEXT: Final = 22

#: The most rows of one table: two lines each fill a page of the class `article`.
_ROWS: Final = 20

#: What the document needs, what a cell of several lines is set with, and a table that fits a page with its notes.
_HEAD: Final = (
    r"% This file needs, in the preamble: \usepackage{booktabs,graphicx}",
    r"% A table that is wider than the text is scaled down to it; wide ones are best in a document of two columns.",
    r"\providecommand{\studycell}[2][r]{\begin{tabular}[t]{@{}#1@{}}#2\end{tabular}}",
    r"\providecommand{\studyhead}[2][r]{\begin{tabular}[b]{@{}#1@{}}#2\end{tabular}}",
    r"\providecommand{\studynotes}[1]{\par\medskip\parbox{\textwidth}{\footnotesize #1}}",
    r"\providecommand{\studyfit}[2]{{\setbox0\hbox{#1}\setbox1\vbox{\hsize\textwidth #2}%",
    r"  \dimen0=.85\textheight\advance\dimen0-\ht1\advance\dimen0-\dp1\relax",
    r"  \ifdim\wd0>\textwidth\setbox0\hbox{\resizebox{\textwidth}{!}{\box0}}\fi",
    r"  \ifdim\dimexpr\ht0+\dp0\relax>\dimen0\setbox0\hbox{\resizebox*{!}{\dimen0}{\box0}}\fi\box0\par\box1}}",
)
_ESCAPES: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "$": r"\$",
        "&": r"\&",
        "#": r"\#",
        "%": r"\%",
        "_": r"\_",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "`": r"\textasciigrave{}",
        # Two hyphens would become a dash, and a bracket or a star after a line's end an option of it.
        "-": "-{}",
        "[": "{[}",
        "]": "{]}",
        "*": "{*}",
        "\N{NO-BREAK SPACE}": "~",
        "\N{MINUS SIGN}": "$-$",
        "\N{EN DASH}": "--",
        "\N{INFINITY}": r"$\infty$",
        "\n": " ",
        "\t": " ",
    }
)


def table_latex(table: StudyTable) -> str:
    """Write a table as a `table*` with its title above and its notes below; it needs `booktabs` and `graphicx`.

    One that is too long for a page is cut into several, where the first name changes if possible.
    """
    notes = " ".join(filter(None, (table.caption, table.intervals)))
    lines, parts = [*_HEAD], _parts(table)
    for number, rows in enumerate(parts, 1):
        title = f"{table.title} (part {number} of {len(parts)})." if len(parts) > 1 else f"{table.title}."
        label = table.name if number == 1 else f"{table.name}-{number}"
        lines += _float(replace(table, rows=rows), title, notes if number == 1 else "", label)
    return "\n".join(lines) + "\n"


def _parts(table: StudyTable) -> list[tuple[tuple[Cell, ...], ...]]:
    """Cut the rows into tables, between the first names where these have few enough rows."""
    parts: list[list[tuple[Cell, ...]]] = [[]]
    for _, block in groupby(table.rows, key=lambda row: row[0]):
        rows = list(block)
        if parts[-1] and len(parts[-1]) + len(rows) > _ROWS:
            parts.append([])
        for row in rows:
            if len(parts[-1]) == _ROWS:
                parts.append([])
            parts[-1].append(row)
    return [tuple(part) for part in parts]


def _sides(table: StudyTable) -> list[str]:
    return ["l" if text else "r" for text in table.texts]


def _float(table: StudyTable, title: str, notes: str, label: str) -> list[str]:
    return [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escaped(title)}}}\medskip",
        rf"\label{{tab:{label}}}",
        r"\studyfit{%",
        rf"\begin{{tabular}}{{@{{}}{''.join(_sides(table))}@{{}}}}",
        r"\toprule",
        *_headings(table),
        r"\midrule",
        *_rows(table),
        r"\bottomrule",
        r"\end{tabular}}",
        rf"{{\studynotes{{{escaped(notes)}}}}}" if notes else "{}",
        r"\end{table*}",
    ]


def escaped(text: str) -> str:
    r"""Write text that LaTeX shows as it is.

    >>> print(escaped("50 % of a_b & {c}"))
    50 \% of a\_b \& \{c\}
    """
    return plain(text).translate(_ESCAPES)


def _headings(table: StudyTable) -> list[str]:
    names = _line(
        [
            _stacked("head", side, _lines(heading.name, _HEADING))
            for side, heading in zip(_sides(table), table.headings, strict=True)
        ]
    )
    if not table.has_groups:
        return [names]
    groups, rules, place = [], [], 1
    for name, count in table.column_groups():
        above = _stacked("head", "c", _lines(name, count * _HEADING))
        groups.append(rf"\multicolumn{{{count}}}{{c}}{{{above}}}" if name else "")
        rules += [rf"\cmidrule(lr){{{place}-{place + count - 1}}}"] if name else []
        place += count
    return [_line(groups), "".join(rules), names]


def _rows(table: StudyTable) -> list[str]:
    lines: list[str] = []
    last: tuple[Cell, ...] = ()
    low = not any(isinstance(cell, Number) and ends_words(cell) for row in table.rows for cell in row)
    for row in table.rows:
        same = 0
        while same < table.names - 1 and last and row[same] == last[same]:
            same += 1
        if last and (same == 0 or not low):
            lines.append(r"\addlinespace" if same == 0 else r"\addlinespace[2pt]")
        cells = [_cell(cell, side) for cell, side in zip(row, _sides(table), strict=True)]
        lines.append(_line(["" if place < same else cell for place, cell in enumerate(cells)]))
        last = row
    return lines


def _cell(cell: Cell, side: str) -> str:
    if not isinstance(cell, Number):
        return _stacked("cell", side, _lines(cell_words(cell), _TEXT))
    small = [rf"{{\scriptsize {escaped(text)}}}" for text in (ends_words(cell), cell.note) if text]
    return _stacked("cell", side, [escaped(value_words(cell)), *small])


def _lines(text: str, most: int) -> list[str]:
    """Break a text into lines, at its spaces."""
    return [escaped(line) for line in textwrap.wrap(text, most, break_long_words=False, break_on_hyphens=False)]


def _stacked(kind: Literal["head", "cell"], side: str, lines: Sequence[str]) -> str:
    if len(lines) < 2:
        return "".join(lines)
    return rf"\study{kind}[{side}]{{{_BREAK.join(lines)}}}"


def _line(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"
