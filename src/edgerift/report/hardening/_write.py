"""The reports of a comparison, and of a sweep of defences, written into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgerift.harden import Defending, Hardening
from edgerift.report.hardening._charts import defending_charts, hardening_charts
from edgerift.report.hardening._html import hardening_html
from edgerift.report.hardening._markdown import defending_markdown, hardening_markdown
from edgerift.steps import write_whole

HARDEN: Final = "harden.json"
DEFEND: Final = "defend.json"
TABLE: Final = "table.md"
HTML: Final = "report.html"


def write_hardening(hardening: Hardening, folder: Path) -> None:
    """Write `harden.json`, `table.md`, the pictures of :func:`hardening_charts` and `report.html` into a folder."""
    folder = Path(folder)
    write_whole(folder / HARDEN, hardening.model_dump_json(indent=2) + "\n")
    write_whole(folder / TABLE, hardening_markdown(hardening))
    hardening_charts(hardening, folder)
    write_whole(folder / HTML, hardening_html(hardening, folder))


def write_defending(swept: Defending, folder: Path) -> None:
    """Write `defend.json`, `table.md`, `sweep.png` and `reliability.png` into a folder."""
    folder = Path(folder)
    write_whole(folder / DEFEND, swept.model_dump_json(indent=2) + "\n")
    write_whole(folder / TABLE, defending_markdown(swept))
    defending_charts(swept, folder)
