"""ExecuTorch: `.pte` files whose operators run in XNNPACK's integer kernels."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgerift._lazy import later
from edgerift.deploy.builds._runtime import RUNTIMES, Runtime

if TYPE_CHECKING:
    from edgerift.deploy.runtimes.executorch import _build, _plan
else:
    _build, _plan = later("edgerift.deploy.runtimes.executorch._build", "edgerift.deploy.runtimes.executorch._plan")

RUNTIMES.register(
    "executorch",
    Runtime(
        packages=("executorch",),
        extra="executorch",
        suffix=".pte",
        arithmetic="xnnpack",
        targets=("mobile", "qnnpack"),
        default_for=("mobile", "qnnpack"),
        compile=lambda program, path: _build.compile_program(program, path),
        open=lambda path: _build.open_artefact(path),
        opening=Path(__file__).with_name("_opening.py"),
        translate=lambda path, output: _plan.translate(path, output),
    ),
    rank=1,
)
