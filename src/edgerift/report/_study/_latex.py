"""Tables of a study as LaTeX, for the booktabs package."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal

from edgerift.report._study._table import (
    Cell,
    Number,
    StudyTable,
    cell_words,
    ends_words,
    value_words,
)
from edgerift.report._words import plain

_BREAK: Final = r"\\"

#: So many letters stand in a line of a heading, and of a cell of text.
_HEADING: Final = 12
_TEXT: Final = 22

#: More rows than these do not fit on a page.
_LONGEST: Final = 28

#: What a cell of several lines is set with, and a table that is no wider than the page.
_HEAD: Final = (
    r"% \usepackage{booktabs,graphicx}",
    r"\providecommand{\studycell}[2][r]{\begin{tabular}[t]{@{}#1@{}}#2\end{tabular}}",
    r"\providecommand{\studyhead}[2][r]{\begin{tabular}[b]{@{}#1@{}}#2\end{tabular}}",
)
_FITTED: Final = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"
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
    """Write a table as a `table*` with its caption; the document needs `booktabs` and `graphicx`.

    One that is too long for a page is cut into a `table*` for each of its groups, or for each part of those.
    """
    caption = " ".join(filter(None, (table.caption, table.intervals)))
    lines = [*_HEAD]
    for number, (group, rows) in enumerate(_parts(table).items(), 1):
        title = f"{table.title}: {', '.join(map(cell_words, group))}" if group else table.title
        said = f"{title}. {caption}" if number == 1 else f"{title} (continued)."
        label = table.name if number == 1 else f"{table.name}-{number}"
        lines += _float(replace(table, rows=tuple(rows)), said, label)
    return "\n".join(lines) + "\n"


def _parts(table: StudyTable) -> dict[tuple[Cell, ...], list[tuple[Cell, ...]]]:
    """Cut rows by as few of the names that they begin with as make parts that fit on a page."""
    parts: dict[tuple[Cell, ...], list[tuple[Cell, ...]]] = {}
    for names in (0, 1, *range(2, table.names)):
        parts = {}
        for row in table.rows:
            parts.setdefault(row[:names], []).append(row)
        if max(map(len, parts.values()), default=0) <= _LONGEST:
            break
    return parts


def _float(table: StudyTable, caption: str, label: str) -> list[str]:
    sides = "".join("l" if place < table.names else "r" for place, _ in enumerate(table.headings))
    return [
        r"\begin{table*}",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{escaped(caption)}}}\medskip",
        rf"\label{{tab:{label}}}",
        _FITTED,
        rf"\begin{{tabular}}{{@{{}}{sides}@{{}}}}",
        r"\toprule",
        *_headings(table),
        r"\midrule",
        *_rows(table),
        r"\bottomrule",
        r"\end{tabular}}",
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
            _stacked("head", "l" if place < table.names else "r", _lines(heading.name, _HEADING))
            for place, heading in enumerate(table.headings)
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
        sides = ("l" if place < table.names else "r" for place, _ in enumerate(row))
        cells = [_cell(cell, side) for cell, side in zip(row, sides, strict=True)]
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
