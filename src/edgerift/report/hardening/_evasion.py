"""The report of a hardening against evasion: text, and one self-contained HTML page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from edgerift.harden import EvasionHardening
from edgerift.report.hardening._defend import choice_words, defend_text
from edgerift.report.hardening._evasion_figure import draw_evasion_hardening, evasion_hardening_words
from edgerift.report.hardening._evasion_tables import INTERVALS, test_table, tried_table
from edgerift.report.shared._page import asset, environment, policy
from edgerift.report.shared._plots import png
from edgerift.report.shared._words import plain
from edgerift.report.tables._table import NOTHING, ends_words, value_words
from edgerift.report.tables._text import table_text, text_line
from edgerift.steps import write_whole

_DOCUMENT: Final = "harden.json"
_PAGE: Final = "harden.html"
_CURVES: Final = "tradeoff.png"


def evasion_hardening_text(found: EvasionHardening, folder: Path | None = None) -> RenderableType:
    """Lay a hardening against evasion out for rich; with the folder it says where the page is, and what is next."""
    parts: list[RenderableType] = [table_text(tried_table(found)), table_text(test_table(found))]
    parts += map(text_line, found.verdict.splitlines())
    lines = [] if folder is None else [f"Report: {folder / _PAGE}"]
    lines += [f"Audit the build: {found.audit}"] if found.audit else []
    if found.theft is not None:
        parts.append(defend_text(found.theft))
        lines += [f"Steal the build: {found.stealing}"] if found.stealing else []
    # A command is copied as it stands: no line may break where the screen ends.
    return Group(*parts, Text("\n".join(map(plain, lines)), no_wrap=True, overflow="ignore"))


def write_evasion_hardening(found: EvasionHardening, folder: Path) -> None:
    """Write `harden.html`, `tradeoff.png` and `harden.json`, which is the document itself, into a folder."""
    picture = png(draw_evasion_hardening(found))
    write_whole(folder / _CURVES, picture)
    write_whole(folder / _PAGE, evasion_hardening_html(found, picture))
    write_whole(folder / _DOCUMENT, found.model_dump_json(indent=2) + "\n")


def evasion_hardening_html(found: EvasionHardening, picture: bytes) -> str:
    """Render a hardening against evasion, with its picture, as a self-contained HTML page."""
    style, script = asset("report.css") + asset("study.css"), asset("report.js")
    made = environment()
    made.filters |= {"value_words": value_words, "ends_words": ends_words}
    made.tests |= {"measured": lambda cell: hasattr(cell, "kind")}
    return made.get_template("evasion_hardening.html.j2").render(
        found=found,
        lines=[*found.verdict.splitlines(), *([] if found.theft is None else choice_words(found.theft))],
        tables=(test_table(found), tried_table(found)),
        picture=base64.b64encode(picture).decode(),
        words=evasion_hardening_words(found),
        intervals=INTERVALS,
        nothing=NOTHING,
        style=style,
        script=script,
        policy=policy(style, script),
    )
