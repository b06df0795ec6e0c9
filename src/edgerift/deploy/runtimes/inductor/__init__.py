"""Inductor: `.pt2` packages of machine code whose operators run in oneDNN's int8 kernels."""

from pathlib import Path

from edgerift.deploy.builds._runtime import RUNTIMES, Runtime
from edgerift.deploy.runtimes.inductor._build import compile_program, missing_compiler, open_artefact

RUNTIMES.register(
    "inductor",
    Runtime(
        packages=("torch",),
        extra="",
        suffix=".pt2",
        arithmetic="graph",
        targets=("server", "fbgemm"),
        default_for=("fbgemm",),
        compile=compile_program,
        open=open_artefact,
        opening=Path(__file__).with_name("_opening.py"),
        runs_code=True,
        missing=missing_compiler,
    ),
    rank=3,
)
