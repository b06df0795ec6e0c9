"""Defences of answers over their strengths: text, Markdown and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType

from edgerift.defend import Defence
from edgerift.harden import Defending, DefendPoint
from edgerift.report.figures._reliability import Reliability, draw_reliability
from edgerift.report.figures._sweeps import draw_sweeps
from edgerift.report.shared._markdown import escaped
from edgerift.report.shared._plots import UNDEFENDED, palette, png
from edgerift.report.shared._words import defence_words, figure
from edgerift.report.study._markdown import table_rows
from edgerift.report.tables._table import Cell, Heading, StudyTable, made_table, mean_number, share_number
from edgerift.report.tables._text import table_text, text_line
from edgerift.steps import write_whole

DEFEND: Final = "defend.json"
TABLE: Final = "table.md"
SWEEP: Final = "sweep.png"
RELIABILITY: Final = "reliability.png"

_HEADINGS: Final = (
    "Strength", "l1", "Error (%)", "Labels changed (%)", "ECE (%)", "NLL", "Clone's error (%)",
    "Clone differs (%)", "Within budget",
)  # fmt: skip


def defend_text(swept: Defending, folder: Path | None = None) -> RenderableType:
    """Lay out the cost of defences at each strength; with the folder, where the pictures are."""
    parts: list[RenderableType] = [text_line(_heading(swept))]
    for name, points in swept.sweeps.items():
        parts.append(table_text(_table(name, points, swept.budget_l1)))
        if name in swept.chosen:
            parts.append(text_line(_choice(name, swept.chosen[name], swept.budget_l1)))
    added = ", ".join(f"{name} {value:.3f}" for name, value in swept.milliseconds.items())
    lines = [f"Latency added per query, in milliseconds: {added}."] if added else []
    lines += [] if folder is None else [f"Pictures: {folder / SWEEP} and {folder / RELIABILITY}"]
    return Group(*parts, *map(text_line, lines))


def defending_markdown(swept: Defending) -> str:
    """Write sweeps of defences as Markdown: a table for each, and the choice within the budget."""
    blocks = [f"**{escaped(_heading(swept))}**"]
    for name, points in swept.sweeps.items():
        blocks += [f"{escaped(name)}:", table_rows(_table(name, points, swept.budget_l1))]
        if name in swept.chosen:
            blocks.append(escaped(_choice(name, swept.chosen[name], swept.budget_l1)))
    return "\n\n".join(blocks) + "\n"


def write_defending(swept: Defending, folder: Path) -> None:
    """Write `defend.json`, `table.md`, `sweep.png` and `reliability.png` into a folder."""
    folder = Path(folder)
    look = palette(tuple(swept.sweeps))
    shown = [Reliability(name, look.get(name, UNDEFENDED), bins) for name, bins in swept.reliability.items()]
    write_whole(folder / DEFEND, swept.model_dump_json(indent=2) + "\n")
    write_whole(folder / TABLE, defending_markdown(swept))
    write_whole(folder / SWEEP, png(draw_sweeps(swept.sweeps, swept.budget_l1)))
    write_whole(folder / RELIABILITY, png(draw_reliability(shown)))


def _heading(swept: Defending) -> str:
    return f"Answers of the build on {swept.runtime} to {swept.data.name}, within l1 {figure(swept.budget_l1)}"


def choice_words(swept: Defending) -> list[str]:
    """Say for each defence which is its largest strength within the budget."""
    return [_choice(name, swept.chosen[name], swept.budget_l1) for name in swept.sweeps if name in swept.chosen]


def _choice(name: str, chosen: Defence | None, budget_l1: float) -> str:
    """Say which is the largest strength of a defence within the budget."""
    if chosen is None:
        return f"{name}: no strength stays within l1 {figure(budget_l1)}."
    return f"The strongest within l1 {figure(budget_l1)}: {defence_words(chosen)}."


def _table(name: str, points: Sequence[DefendPoint], budget_l1: float) -> StudyTable:
    """Make the table of a defence; the columns of an attacker are there where there was one."""
    rows = [_row(point, budget_l1) for point in points]
    return made_table(name, name, "", "", list(map(Heading, _HEADINGS)), rows, place="theft", names=1)


def _row(point: DefendPoint, budget_l1: float) -> list[Cell]:
    owner = [share_number(share) for share in (point.error, point.changed, point.ece)]
    thief = [None if share is None else share_number(share) for share in (point.adversary_error, point.disagreement)]
    within = "yes" if point.l1 <= budget_l1 else "no"
    return [figure(float(point.strength)), mean_number(point.l1), *owner, mean_number(point.nll), *thief, within]
