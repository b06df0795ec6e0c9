"""The two sides of against.py, and a row of its table."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

#: What is attacked.
NETWORKS: Final = ("resnet8", "resnet18", "mobilenet_v2")


@dataclass(frozen=True)
class Given:
    """What parts of the table need besides the sources: pairs and images to attack, how many, and which networks."""

    pairs: Path | None = None
    data_root: Path | None = None
    images: int = 500
    networks: tuple[str, ...] = NETWORKS


@dataclass(frozen=True)
class Side:
    """The sources of one side, a folder for what it writes, and what both sides are given."""

    sources: Path
    folder: Path
    given: Given = Given()

    @property
    def program(self) -> list[str]:
        """The arguments of Python that run its command line; the first versions were no module that runs."""
        has_main = (self.sources / "edgerift" / "__main__.py").is_file()
        return ["-m", "edgerift"] if has_main else ["-c", "import sys; from edgerift.cli import main; sys.exit(main())"]

    def run(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> tuple[float, str]:
        """Run Python on these sources; returns CPU seconds and what was printed."""
        environment = {**os.environ, "PYTHONPATH": str(self.sources), "OMP_NUM_THREADS": "1"}
        # Both sides read modules that are compiled, as an installed package does.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        before = os.times()
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        after = os.times()
        if done.returncode not in allowed:
            raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}")
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        return spent, done.stdout


@dataclass(frozen=True)
class Row:
    """One figure of both sides, `old` None where it is not measured; `ratio` is new over old, or what `over` names."""

    what: str
    unit: str
    old: float | None
    new: float
    ratio: float
    target: float
    over: str = "old"
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio <= self.target
