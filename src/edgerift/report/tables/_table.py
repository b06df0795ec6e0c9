"""A table of a study: what its cells hold, and how a number is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from edgerift.measure import Interval, MeanInterval

Place: TypeAlias = Literal["evasion", "theft"]

#: What stands where nothing was measured.
NOTHING: Final = "–"

#: The columns of what was measured here, and of what was published.
OURS: Final = "ours"
PAPER: Final = "paper"

_SPACE: Final = "\N{NO-BREAK SPACE}"
_MINUS: Final = "\N{MINUS SIGN}"
_LEAST_P: Final = 0.001


@dataclass(frozen=True)
class Heading:
    """A column's name, and that of the columns that it stands among, if any; units are in one of both."""

    name: str
    group: str = ""

    @property
    def line(self) -> str:
        """Both names in one line."""
        return f"{self.group}: {self.name}" if self.group else self.name


@dataclass(frozen=True)
class Number:
    """A figure in the unit of its column, with its 95 % interval where it has one.

    A `share` is in percent, `points` are a difference of two of them, written with its sign, a `strength` has four
    digits, `p` is a p-value. `note` says over how many seeds it is where these are not all of its row's.
    """

    value: float
    low: float | None = None
    high: float | None = None
    kind: Literal["share", "points", "strength", "plain", "p"] = "plain"
    decimals: int = 1
    note: str = ""


Cell: TypeAlias = str | Number | None


@dataclass(frozen=True)
class StudyTable:
    """A table: the first `names` columns say what a row is about, and rows of one group agree in the first of them.

    `caption` says what the figures are and of how many images, `intervals` what the brackets are. A `detail` is for
    those who ask for more.
    """

    name: str
    title: str
    caption: str
    intervals: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    place: Place
    names: int = 1
    detail: bool = False

    @property
    def has_groups(self) -> bool:
        """Whether columns stand together under a name."""
        return any(heading.group for heading in self.headings)

    @property
    def texts(self) -> tuple[bool, ...]:
        """Say of each column whether it is text, which begins at the left: a name, or what is no number anywhere."""
        return tuple(
            place < self.names or not any(isinstance(row[place], Number) for row in self.rows)
            for place, _ in enumerate(self.headings)
        )

    def column_groups(self) -> list[tuple[str, int]]:
        """List the names above the columns with the number of columns under each; a column alone has no name."""
        found: list[tuple[str, int]] = []
        for heading in self.headings:
            if found and heading.group and found[-1][0] == heading.group:
                found[-1] = (heading.group, found[-1][1] + 1)
            else:
                found.append((heading.group, 1))
        return found


def share_number(share: Interval | float) -> Number:
    """Write a share in percent, with its interval where it has one."""
    if isinstance(share, Interval):
        return Number(100 * share.value, 100 * share.low, 100 * share.high, "share")
    return Number(100 * share, kind="share")


def mean_number(mean: MeanInterval | float) -> Number:
    """Write a mean with three decimals, with its interval where it has one."""
    if isinstance(mean, MeanInterval):
        return Number(mean.value, mean.low, mean.high, decimals=3)
    return Number(mean, decimals=3)


def value_words(number: Number) -> str:
    """Write a figure without its unit; a share that is neither nothing nor all never reads as such.

    >>> shown = [Number(0.01, kind="share"), Number(-1.26, kind="points"), Number(0.0312, kind="p")]
    >>> [value_words(one) for one in shown]
    ['<\\xa00.1', '−1.3', '0.031']
    """
    if number.kind == "p":
        return f"<{_SPACE}{_LEAST_P}" if number.value < _LEAST_P else f"{number.value:.3f}"
    if number.kind == "strength":
        return f"{number.value:.4g}"
    if number.kind == "share":
        least = 0.5 * 10.0**-number.decimals
        if 0 < number.value < least:
            return f"<{_SPACE}{2 * least:.{number.decimals}f}"
        if 100 - least <= number.value < 100:
            return f">{_SPACE}{100 - 2 * least:.{number.decimals}f}"
    return _written(number.value, number.decimals, signed=number.kind == "points")


def ends_words(number: Number) -> str:
    """Write a figure's interval; nothing for one without, or of no width.

    That of a share or of a difference is in square brackets. Any other quantity has a form of its own, in which a
    comma can only be one between thousands.

    >>> ends_words(Number(1.2, -0.44, 2.0, kind="points"))
    '[−0.4,\\xa0+2.0]'
    >>> ends_words(Number(1052, 0, 3468, decimals=0))
    '(0\\xa0to\\xa03,468)'
    """
    if number.low is None or number.high is None or math.isclose(number.low, number.high, abs_tol=1e-9):
        return ""
    signed = number.kind == "points"
    low, high = (_written(end, number.decimals, signed=signed) for end in (number.low, number.high))
    if number.kind in ("share", "points"):
        return f"[{low},{_SPACE}{high}]"
    return f"({low}{_SPACE}to{_SPACE}{high})"


def cell_words(cell: Cell) -> str:
    """Write a cell in one line.

    >>> cell_words(Number(97.42, 96.0, 98.5, kind="share", note="2 of 3 seeds")).replace(chr(160), " ")
    '97.4 [96.0, 98.5] (2 of 3 seeds)'
    """
    if cell is None:
        return NOTHING
    if isinstance(cell, str):
        return cell
    note = f"({cell.note})" if cell.note else ""
    return " ".join(filter(None, (value_words(cell), ends_words(cell), note)))


def capitalised(text: str) -> str:
    """Begin a text with a capital."""
    return text[:1].upper() + text[1:]


def made_table(
    name: str,
    title: str,
    caption: str,
    intervals: str,
    headings: Sequence[Heading],
    rows: Sequence[Sequence[Cell]],
    *,
    place: Place,
    names: int,
    detail: bool = False,
    paper: str = "",
) -> StudyTable:
    """Make a table of the columns that hold something in any row.

    `paper` says where published figures come from; it ends the caption where there are any.
    """
    kept = [column for column, _ in enumerate(headings) if any(row[column] is not None for row in rows)]
    published = any(headings[column].name == PAPER for column in kept)
    return StudyTable(
        name=name,
        title=title,
        caption=f"{caption} {paper}" if published and paper else caption,
        intervals=intervals,
        headings=_alone([headings[column] for column in kept]),
        rows=tuple(tuple(row[column] for column in kept) for row in rows),
        place=place,
        names=sum(column < names for column in kept),
        detail=detail,
    )


def _alone(headings: Sequence[Heading]) -> tuple[Heading, ...]:
    """Let our own column have its group's name where the published one beside it is left out."""
    groups = [heading.group for heading in headings]
    return tuple(
        Heading(heading.group) if heading.name == OURS and groups.count(heading.group) == 1 else heading
        for heading in headings
    )


def _written(value: float, decimals: int, *, signed: bool) -> str:
    text = f"{abs(value):,.{decimals}f}"
    if not float(text.replace(",", "")):
        return text
    return f"{_MINUS if value < 0 else '+' if signed else ''}{text}"
