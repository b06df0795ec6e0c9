"""ExecuTorch: `.pte` files whose operators run in XNNPACK's integer kernels."""

from pathlib import Path

from edgerift.deploy.builds._runtime import RUNTIMES, Runtime
from edgerift.deploy.runtimes.executorch._build import compile_program, open_artefact

RUNTIMES.register(
    "executorch",
    Runtime(
        packages=("executorch",),
        extra="executorch",
        suffix=".pte",
        arithmetic="xnnpack",
        targets=("mobile", "qnnpack"),
        default_for=("mobile", "qnnpack"),
        compile=compile_program,
        open=open_artefact,
        opening=Path(__file__).with_name("_opening.py"),
    ),
    rank=1,
)
