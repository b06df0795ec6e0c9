"""LiteRT: `.tflite` files, run by one of its three sets of kernels, which answer differently to the same file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgerift._lazy import later
from edgerift.deploy.builds._runtime import RUNTIMES, Runtime
from edgerift.deploy.twins._arithmetics import ARITHMETICS

if TYPE_CHECKING:
    from edgerift.deploy.runtimes.litert import _build, _twins
    from edgerift.deploy.twins.tflite import _stored_layers
    from edgerift.deploy.twins.tflite._builder import Kernels
else:
    _build, _twins = later("edgerift.deploy.runtimes.litert._build", "edgerift.deploy.runtimes.litert._twins")
    _stored_layers = later("edgerift.deploy.twins.tflite._stored_layers")


def _register(name: str, kernels: Kernels, arithmetic: str, rank: float, files_of: str = "") -> None:
    RUNTIMES.register(
        name,
        Runtime(
            packages=("ai_edge_litert",),
            extra="litert",
            suffix=".tflite",
            arithmetic=arithmetic,
            targets=("mobile", "qnnpack"),
            compile=lambda program, path: _build.compile_program(program, path),
            open=lambda path: _build.open_artefact(path, kernels=kernels),
            open_read=lambda path, read: _build.open_read(path, read, kernels=kernels),
            opening=Path(__file__).with_name("_opening.py"),
            translate=lambda path, output: _twins.translate(path, output, kernels=kernels),
            layers=lambda content: _stored_layers.tflite_layers(content),
            kernels=kernels,
            files_of=files_of,
        ),
        rank=rank,
    )
    if arithmetic == name:
        ARITHMETICS.register(name, lambda program: _twins.program_twin(program, kernels=kernels))


_register("litert", "default", "xnnpack", 2.1)
_register("litert-builtin", "builtin", "litert-builtin", 2.2, "litert")
_register("litert-reference", "reference", "litert-reference", 2.3, "litert")
