"""A comparison of hardened victims as shown in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from edgerift.harden import Hardening, Thieves, VariantPart
from edgerift.report.hardening._words import (
    ONE_SEED,
    closed_form_words,
    distance,
    has_paper,
    heading,
    noise_words,
    search_words,
    shares,
    stealing_words,
    strength_words,
)
from edgerift.report.shared._words import percent, plain

#: Columns of text that hold every value and legible names.
_ROOM: Final = 86
_ROOM_FOR_PAPER: Final = 20


def hardening_text(hardening: Hardening, folder: Path | None = None) -> RenderableType:
    """Lay a comparison out for rich: a row for each victim, then the verdict and how the strengths were found.

    Results that the paper reports for a victim are in columns of their own. With the folder of
    :func:`write_hardening` it also says where the report is.
    """
    lines = [hardening.verdict, *search_words(hardening), closed_form_words(hardening), noise_words(hardening)]
    lines += [stealing_words(hardening), ONE_SEED]
    lines += [] if folder is None else [f"Report: {folder / 'report.html'}"]
    return Group(_Tables(hardening), *(Text(plain(line)) for line in lines if line))


@final
class _Tables:
    """The figures as one table, or as two on a screen that has no room for one."""

    def __init__(self, hardening: Hardening) -> None:
        self._hardening = hardening

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = _ROOM + (_ROOM_FOR_PAPER if has_paper(self._hardening) else 0)
        parts = ("errors", "disagreement")
        tables = (parts,) if options.max_width >= room else ((parts[0],), (parts[1],))
        for number, shown in enumerate(tables):
            yield _table(self._hardening, shown, heading(self._hardening) if number == 0 else None)


def _table(hardening: Hardening, shown: Sequence[str], title: str | None) -> Table:
    table = Table(
        title=None if title is None else Text(plain(title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    paper = has_paper(hardening)
    table.add_column("", overflow="fold")
    for one in _headings(shown, paper):
        table.add_column(one, justify="right", no_wrap=True)
    for part in hardening.victim.values():
        table.add_row(_name(part), *_cells(part, shown, paper))
    return table


def _headings(shown: Sequence[str], paper: bool) -> list[str]:
    headings: list[str] = []
    if "errors" in shown:
        headings += ["defender's\nerror", "l1\n", "adversary's\nerror, soft", "\nhard"]
        headings += ["paper's\ndefender", "paper's\nadversary"] if paper else []
    if "disagreement" in shown:
        headings += ["disagree-\nment, soft", "\nhard"]
    return headings


def _name(part: VariantPart) -> Text:
    chosen = strength_words(part)
    return Text.assemble(plain(part.title), *([(f"\n{plain(chosen)}", "dim")] if chosen else []))


def _cells(part: VariantPart, shown: Sequence[str], paper: bool) -> list[Text]:
    cells: list[Text] = []
    if "errors" in shown:
        cells += [_two_lines(*shares(part.defender_error))]
        cells += [_two_lines(distance(part.l1), f"±{(part.l1.high - part.l1.low) / 2:.3f}")]
        cells += _thieves(part.adversary_error)
        printed = part.paper
        figures = ("–", "–") if printed is None else map(percent, (printed.defender_error, printed.adversary_error))
        cells += map(Text, figures) if paper else []
    if "disagreement" in shown:
        cells += _thieves(part.disagreement)
    return cells


def _thieves(part: Thieves) -> list[Text]:
    return [_two_lines(*shares(part.soft)), _two_lines(*shares(part.hard))]


def _two_lines(value: str, ends: str) -> Text:
    return Text.assemble(value, (f"\n{ends}", "dim"))
