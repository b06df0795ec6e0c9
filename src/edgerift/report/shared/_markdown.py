"""Markdown tables, and text that Markdown shows as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from edgerift.report.shared._words import plain

_SPECIAL: Final = re.compile(r"([\\`*_\[\]|#~$])")


def markdown_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], names: int = 1, texts: Sequence[bool] = ()
) -> str:
    """Write a table whose first columns, `names` of them, are text, and whose others are numbers unless in `texts`."""
    known = texts or [place < names for place, _ in enumerate(headings)]
    sides = ["---" if text else "---:" for text in known]
    lines = [[escaped(heading) for heading in headings], sides, *([escaped(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown_list(lines: Iterable[str]) -> str:
    """Write a list."""
    return "\n".join(f"- {escaped(line)}" for line in lines)


def escaped(text: str) -> str:
    r"""Write text that Markdown shows as it is: a name from a file is neither markup nor a cell's end.

    >>> print(escaped("a|b <i>*c*</i>"))
    a\|b &lt;i&gt;\*c\*&lt;/i&gt;
    """
    one_line = plain(text).replace("\n", " ").replace("\t", " ")
    return _SPECIAL.sub(r"\\\1", one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
