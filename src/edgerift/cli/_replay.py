"""`edgerift replay`: judge one finding again from its PNG file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from rich.text import Text

from edgerift import audit
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import Json
from edgerift.cli._terminal import progress_bars, show


class ReplayCommand(Command):
    """Test one finding of an audit again, from its PNG file.

    The exit code is 0 if the image still evades and 1 if it does not.
    """

    example: ClassVar[str] = "edgerift replay audit/findings/default-000042.json"

    finding: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FINDING")]
    """a finding's .json or .png in an audit's findings folder"""
    original: Annotated[Path | None, Shown(group="model", metavar="FILE", default="the audit's")] = None
    """float model, original.safetensors"""
    build: Annotated[Path | None, Shown(group="model", metavar="FILE", default="the audit's")] = None
    """build for the same runtime"""
    trust: Annotated[bool, Shown(group="model")] = False
    """allow models that run code when they are opened: Inductor packages, architectures from your own module:factory"""
    allow_mismatch: Annotated[bool, Shown(group="model")] = False
    """replay although a model in the audit's folder is not the one that the finding names"""
    as_json: Json = False

    def run(self) -> int:
        """Test the finding and show both models' predictions."""
        with progress_bars():
            result = audit.replay(
                self.finding,
                original=self.original,
                build=self.build,
                trust=self.trust,
                allow_mismatch=self.allow_mismatch,
            )
        show(result, Text(_words(result)), self.as_json)
        return 0 if result.evasive else 1


def _words(result: audit.Replay) -> str:
    first, on = "original ", ""
    if result.original_runtime is not None:
        first, on = "build    ", f" on {result.original_runtime}"
    lines = [
        f"{result.finding}: {'evades' if result.evasive else 'does not evade'}, judged from its PNG file",
        f"  label     {result.label}",
        f"  {first} {result.original_answer} ({result.original_probability:.1%}){on}",
        f"  build     {result.build_answer} ({result.build_probability:.1%}) on {result.runtime}",
    ]
    if result.abstains:
        lines.append("  the build's guard abstains: its two best scores are too close")
    if not result.same_pixels:
        lines.append("  the pixels of the file are not those that were reported")
    if result.same_original is False:
        lines.append(f"  the {first.strip()} is not the one that was audited")
    if not result.same_build:
        lines.append("  the build, its runtime or the CPU is not the one that was audited")
    return "\n".join(lines)
