"""Inductor: `.pt2` packages of machine code whose operators run in oneDNN's int8 kernels."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgerift._lazy import later
from edgerift.deploy.builds._runtime import RUNTIMES, Runtime

if TYPE_CHECKING:
    from edgerift.deploy.runtimes.inductor import _build
else:
    _build = later("edgerift.deploy.runtimes.inductor._build")

RUNTIMES.register(
    "inductor",
    Runtime(
        packages=("torch",),
        extra="",
        suffix=".pt2",
        arithmetic="graph",
        targets=("server", "fbgemm"),
        default_for=("fbgemm",),
        compile=lambda program, path: _build.compile_program(program, path),
        open=lambda path: _build.open_artefact(path),
        opening=Path(__file__).with_name("_opening.py"),
        runs_code=True,
        missing=lambda: _build.missing_compiler(),
    ),
    rank=3,
)
