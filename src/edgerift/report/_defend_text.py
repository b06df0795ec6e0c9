"""Defences of answers over their strengths, as a person reads them in a terminal."""

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
from edgerift.report._hardening_words import defence_words, figure
from edgerift.report._words import bounds, percent, plain

_HEADINGS: Final = ("strength", "l1", "error", "changed", "calib. error", "neg. log-l.")


def sweep_text(
    points_by_name: dict[str, tuple[DefendPoint, ...]], budget_l1: float, chosen: dict[str, Defence | None]
) -> RenderableType:
    """Lay sweeps out for rich: a table for each defence, the strengths within the budget marked, and what is chosen."""
    parts: list[RenderableType] = []
    for name, points in points_by_name.items():
        parts.append(_table(name, points, budget_l1))
        if name in chosen:
            parts.append(Text(plain(choice_words(name, chosen[name], budget_l1))))
    return Group(*parts)


def defend_text(swept: Defending, folder: Path | None = None) -> RenderableType:
    """Lay out what defences cost at each strength; with the folder, where the pictures are."""
    where = [] if folder is None else [f"Pictures: {folder / 'sweep.png'} and {folder / 'reliability.png'}"]
    added = ", ".join(f"{name} {value:.3f}" for name, value in swept.milliseconds.items())
    lines = [f"Added to a single answer, in milliseconds: {added}."] if added else []
    return Group(
        Text(plain(defending_heading(swept))),
        sweep_text(swept.sweeps, swept.budget_l1, swept.chosen),
        *(Text(plain(line)) for line in (*lines, *where)),
    )


def defending_heading(swept: Defending) -> str:
    """Name what was defended."""
    return f"Answers of the build on {swept.runtime} to {swept.data.name}, within l1 {figure(swept.budget_l1)}"


def choice_words(name: str, chosen: Defence | None, budget_l1: float) -> str:
    """Say which strength of a defence is the strongest that the budget allows."""
    if chosen is None:
        return f"{name}: no strength stays within l1 {figure(budget_l1)}."
    return f"The strongest within l1 {figure(budget_l1)}: {defence_words(chosen)}."


def was_stolen(points: Sequence[DefendPoint]) -> bool:
    """Tell whether any of the strengths was stolen from."""
    return any(point.adversary_error is not None or point.disagreement is not None for point in points)


def point_cells(point: DefendPoint, stolen: bool) -> list[str]:
    """Write a strength and its figures, those of a thief too where there was one."""
    cells = [figure(float(point.strength)), f"{point.l1:.3f}", percent(point.error), percent(point.changed)]
    cells += [percent(point.ece), f"{point.nll:.3f}"]
    thief = (point.adversary_error, point.disagreement)
    return cells + ["–" if one is None else f"{percent(one.value)} {bounds(one)}" for one in thief if stolen]


def _table(name: str, points: Sequence[DefendPoint], budget_l1: float) -> Table:
    stolen = was_stolen(points)
    table = Table(title=Text(plain(name)), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for one in (*_HEADINGS, *(("adversary's error", "disagreement") if stolen else ())):
        table.add_column(one, justify="right")
    for point in points:
        table.add_row(*map(Text, point_cells(point, stolen)), style="" if point.l1 <= budget_l1 else "dim")
    return table
