"""Defences of answers over their strengths, as shown in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgerift.defend import Defence
from edgerift.harden import Defending, DefendPoint
from edgerift.measure import Interval
from edgerift.report.hardening._words import defence_words, shares
from edgerift.report.shared._words import figure, percent, plain, rate

_HEADINGS: Final = ("strength", "l1", "error", "labels\nchanged", "calib.\nerror", "neg.\nlog-l.")
_THIEF: Final = ("adversary's\nerror", "disagree-\nment")


def sweep_text(
    points_by_name: dict[str, tuple[DefendPoint, ...]], budget_l1: float, chosen: dict[str, Defence | None]
) -> RenderableType:
    """Lay sweeps out for rich: a table for each defence, the strengths within the budget marked, and the choice."""
    parts: list[RenderableType] = []
    for name, points in points_by_name.items():
        parts.append(_table(name, points, budget_l1))
        if name in chosen:
            parts.append(Text(plain(choice_words(name, chosen[name], budget_l1))))
    return Group(*parts)


def defend_text(swept: Defending, folder: Path | None = None) -> RenderableType:
    """Lay out the cost of defences at each strength; with the folder, where the pictures are."""
    where = [] if folder is None else [f"Pictures: {folder / 'sweep.png'} and {folder / 'reliability.png'}"]
    added = ", ".join(f"{name} {value:.3f}" for name, value in swept.milliseconds.items())
    lines = [f"Latency added per query, in milliseconds: {added}."] if added else []
    return Group(
        Text(plain(defending_heading(swept))),
        sweep_text(swept.sweeps, swept.budget_l1, swept.chosen),
        *(Text(plain(line)) for line in (*lines, *where)),
    )


def defending_heading(swept: Defending) -> str:
    """Name what was defended."""
    return f"Answers of the build on {swept.runtime} to {swept.data.name}, within l1 {figure(swept.budget_l1)}"


def choice_words(name: str, chosen: Defence | None, budget_l1: float) -> str:
    """Say which is the largest strength of a defence within the budget."""
    if chosen is None:
        return f"{name}: no strength stays within l1 {figure(budget_l1)}."
    return f"The strongest within l1 {figure(budget_l1)}: {defence_words(chosen)}."


def was_stolen(points: Sequence[DefendPoint]) -> bool:
    """Return whether any of the strengths was attacked."""
    return any(point.adversary_error is not None or point.disagreement is not None for point in points)


def point_cells(point: DefendPoint, stolen: bool) -> list[str]:
    """Write a strength and its results, with those of an attacker where there was one."""
    thief = ["–" if one is None else rate(one) for one in _thief(point)]
    return _owner_cells(point) + (thief if stolen else [])


def _owner_cells(point: DefendPoint) -> list[str]:
    cells = [figure(float(point.strength)), f"{point.l1:.3f}", percent(point.error), percent(point.changed)]
    return [*cells, percent(point.ece), f"{point.nll:.3f}"]


def _thief(point: DefendPoint) -> tuple[Interval | None, Interval | None]:
    return point.adversary_error, point.disagreement


def _thief_cell(interval: Interval | None) -> Text:
    if interval is None:
        return Text("–")
    value, ends = shares(interval)
    return Text.assemble(value, (f"\n{ends}", "dim"))


def _table(name: str, points: Sequence[DefendPoint], budget_l1: float) -> Table:
    stolen = was_stolen(points)
    table = Table(title=Text(plain(name)), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for one in (*_HEADINGS, *(_THIEF if stolen else ())):
        table.add_column(one, justify="right", no_wrap=True)
    for point in points:
        cells = [Text(cell) for cell in _owner_cells(point)] + (
            [_thief_cell(one) for one in _thief(point)] if stolen else []
        )
        table.add_row(*cells, style="" if point.l1 <= budget_l1 else "dim")
    return table
