"""`edgerift replay`: judge one finding again from its PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro
from rich.text import Text

from edgerift.audit import Replay, replay
from edgerift.cli._options import Json
from edgerift.cli._terminal import progress_bars, show
from edgerift.settings import Settings


class ReplayCommand(Settings):
    """Judge one finding again from its PNG file; the exit code is 0 when it still evades and 1 when it does not."""

    finding: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FINDING")]
    """a finding's .json or .png in an audit's findings folder"""
    original: Path | None = None
    """another original.safetensors than the audit's"""
    build: Path | None = None
    """another build than the audit's, of the same runtime"""
    trust: bool = False
    """open an Inductor package or an original of your own factory, which runs code"""
    allow_mismatch: bool = False
    """replay although a model in the audit's folder is not the one that the finding names"""
    as_json: Json = False

    def run(self) -> int:
        """Judge and say what both models answer."""
        with progress_bars():
            result = replay(
                self.finding,
                original=self.original,
                build=self.build,
                trust=self.trust,
                allow_mismatch=self.allow_mismatch,
            )
        show(result, Text(_words(result)), self.as_json)
        return 0 if result.evasive else 1


def _words(result: Replay) -> str:
    lines = [
        f"{result.finding}: {'evades' if result.evasive else 'does not evade'}, judged from its PNG file",
        f"  label     {result.label}",
        f"  original  {result.original_answer} ({result.original_probability:.1%})",
        f"  build     {result.build_answer} ({result.build_probability:.1%}) on {result.runtime}",
    ]
    if not result.same_pixels:
        lines.append("  the file does not hold the pixels that were reported")
    if result.same_original is False:
        lines.append("  the original is not the one that was audited")
    if not result.same_build:
        lines.append("  the build, its runtime or the processor is not the one that was audited")
    return "\n".join(lines)
