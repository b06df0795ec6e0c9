"""Tables of a study as LaTeX: no wider than the text and no higher than the page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final, Literal, NamedTuple, TypeAlias

from edgerift.report.shared._words import plain
from edgerift.report.tables._table import Cell, Number, StudyTable, cell_words, ends_words, value_words

_BREAK: Final = r"\\"

#: So many letters stand in a line of a heading, and of a cell of text.
_HEADING: Final = 12
_TEXT: Final = 22

#: What a page of the class `article` holds of a table below its caption, how high lines are and what parts rows, in
#: points of an unscaled table in \footnotesize, and how many letters of notes stand in a line.
_PAGE: Final = 480.0
_LINE: Final = 9.5
_BETWEEN: Final = 2.5
_NOTES: Final = 80

#: What the document needs, what a cell of several lines is set with, and a table that fits into text and page.
_HEAD: Final = (
    r"% This file needs, in the preamble: \usepackage{booktabs,graphicx}",
    r"% A table that is wider than the text is scaled down to it; wide ones are best in a document of two columns.",
    r"\providecommand{\studycell}[2][r]{\begin{tabular}[t]{@{}#1@{}}#2\end{tabular}}",
    r"\providecommand{\studyhead}[2][r]{\begin{tabular}[b]{@{}#1@{}}#2\end{tabular}}",
    r"\providecommand{\studynotes}[1]{\par\medskip\parbox{\textwidth}{\footnotesize #1}}",
    r"\providecommand{\studyfit}[1]{{\setbox0\hbox{#1}%",
    r"  \ifdim\wd0>\textwidth\setbox0\hbox{\resizebox{\textwidth}{!}{\box0}}\fi",
    r"  \ifdim\dimexpr\ht0+\dp0\relax>.7\textheight\setbox0\hbox{\resizebox*{!}{.7\textheight}{\box0}}\fi\box0}}",
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


_Rows: TypeAlias = tuple[tuple[Cell, ...], ...]


class _Part(NamedTuple):
    """Rows that stand on one page, and what their title says of them."""

    words: str
    rows: _Rows


def table_latex(table: StudyTable) -> str:
    """Write a table as a `table*` with its title above and its notes below; it needs `booktabs` and `graphicx`.

    One that is too long for a page is cut into several, between the names that rows begin with.
    """
    notes = " ".join(filter(None, (table.caption, table.intervals)))
    lines = [*_HEAD]
    for number, part in enumerate(_parts(table, notes), 1):
        title = f"{table.title}{': ' if part.words else ''}{part.words}{'' if number == 1 else ' (continued)'}."
        label = table.name if number == 1 else f"{table.name}-{number}"
        lines += _float(replace(table, rows=part.rows), title, notes if number == 1 else "", label)
    return "\n".join(lines) + "\n"


def _parts(table: StudyTable, notes: str) -> list[_Part]:
    """Cut the rows at the fewest names whose blocks fit on a page, or between any two, and fill pages with the blocks.

    The blocks of a page agree in all names but the last of those.
    """
    room = _PAGE - _heading_height(table)
    first = room - _LINE * len(textwrap.wrap(notes, _NOTES))
    levels = (*range(max(2, table.names)), None)
    for names in levels:
        blocks = _blocks(table, names)
        if all(_height(table, block) <= first for block in blocks):
            break
    shared = max(0, (table.names if names is None else names) - 1)
    parts: list[list[_Rows]] = []
    for block in blocks:
        last = parts[-1] if parts else None
        fits = last is not None and _height(table, (*sum(last, ()), *block)) <= (first if len(parts) == 1 else room)
        if last is not None and fits and last[0][0][:shared] == block[0][:shared]:
            last.append(block)
        else:
            parts.append([block])
    if len(parts) == 1:
        return [_Part("", table.rows)]
    return [_Part(_part_words(part, shared, named=names is not None), sum(part, ())) for part in parts]


def _blocks(table: StudyTable, names: int | None) -> list[_Rows]:
    """Put rows together that agree in so many of the names that they begin with; None leaves each by itself."""
    if names is None:
        return [(row,) for row in table.rows]
    return [tuple(rows) for _, rows in groupby(table.rows, key=lambda row: row[:names])]


def _part_words(blocks: Sequence[_Rows], shared: int, *, named: bool) -> str:
    """Write the names that the blocks of a part share, and that of each unless they are single rows."""
    above = ", ".join(map(cell_words, blocks[0][0][:shared]))
    own = " and ".join(cell_words(block[0][shared]) for block in blocks) if named else ""
    return ", ".join(filter(None, (above, own)))


def _height(table: StudyTable, rows: Sequence[tuple[Cell, ...]]) -> float:
    """Estimate how high rows are, in points."""
    between = _BETWEEN if table.names > 1 else 2 * _BETWEEN
    return sum(_LINE * max(map(_line_count, row), default=1) + between for row in rows)


def _line_count(cell: Cell) -> int:
    if not isinstance(cell, Number):
        return max(1, len(_lines(cell_words(cell), _TEXT)))
    return 1 + bool(ends_words(cell)) + bool(cell.note)


def _heading_height(table: StudyTable) -> float:
    names = max((len(_lines(heading.name, _HEADING)) for heading in table.headings), default=1)
    groups = (len(_lines(name, count * _HEADING)) for name, count in table.column_groups())
    return _LINE * (1 + names + (max(groups, default=0) if table.has_groups else 0))


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
        *([rf"\studynotes{{{escaped(notes)}}}"] if notes else []),
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
