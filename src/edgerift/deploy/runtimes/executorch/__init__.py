"""ExecuTorch: `.pte` files whose operators run in XNNPACK's integer kernels."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgerift._lazy import later
from edgerift.deploy.builds._runtime import RUNTIMES, Runtime

if TYPE_CHECKING:
    from edgerift.deploy.runtimes.executorch import _build, _plan, _stored_layers
else:
    _HERE = "edgerift.deploy.runtimes.executorch"
    _build, _plan, _stored_layers = later(f"{_HERE}._build", f"{_HERE}._plan", f"{_HERE}._stored_layers")

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
        layers=lambda content: _stored_layers.pte_layers(content),
        use_threads=lambda threads: _build.use_threads(threads),
    ),
    rank=1,
)
