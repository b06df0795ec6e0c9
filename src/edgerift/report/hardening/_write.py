"""The report of a comparison of hardened victims: that of a study of one cell."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType

from edgerift.facts import single
from edgerift.harden import Hardening
from edgerift.report.hardening._about import about_hardening
from edgerift.report.study._text import report_text
from edgerift.report.study._write import write_report


def hardening_text(hardening: Hardening, folder: Path | None = None) -> RenderableType:
    """Lay a comparison out for rich: its victims, then the verdict and how it was measured.

    With the folder of :func:`write_hardening` it also says where the report is, which has all else.
    """
    return report_text(single(hardening), about_hardening(hardening), folder)


def write_hardening(hardening: Hardening, folder: Path) -> None:
    """Write `harden.json`, which is the document itself, and the files of a study's report into a folder."""
    write_report(single(hardening), about_hardening(hardening), folder, hardening.model_dump_json(indent=2))
