"""ONNX Runtime: self-contained QDQ `.onnx` files that run in integer kernels with default session options."""

from pathlib import Path
from typing import TYPE_CHECKING

from edgerift._lazy import later
from edgerift.deploy.builds._runtime import RUNTIMES, Runtime

if TYPE_CHECKING:
    from edgerift.deploy.runtimes.onnxruntime import _build, _guard, _optimised
    from edgerift.deploy.twins.onnx import _stored_layers
else:
    _stored_layers = later("edgerift.deploy.twins.onnx._stored_layers")
    _build, _guard, _optimised = later(
        "edgerift.deploy.runtimes.onnxruntime._build",
        "edgerift.deploy.runtimes.onnxruntime._guard",
        "edgerift.deploy.runtimes.onnxruntime._optimised",
    )

RUNTIMES.register(
    "onnxruntime",
    Runtime(
        packages=("onnxruntime", "onnx", "onnxscript"),
        extra="onnxruntime",
        suffix=".onnx",
        arithmetic="onnxruntime",
        targets=("mobile", "server", "qnnpack"),
        default_for=("server",),
        compile=lambda program, path: _build.compile_program(program, path),
        open=lambda path: _build.open_artefact(path),
        opening=Path(__file__).with_name("_opening.py"),
        translate=lambda path, output: _optimised.translate(path, output),
        layers=lambda content: _stored_layers.onnx_layers(content),
        read=lambda path: _build.read_artefact(path),
        open_read=lambda path, read: _build.OnnxRuntimeEngine(path, read),
        embed_guard=lambda content, guard: _guard.with_guard(content, guard),
        embedded_guard=lambda path: _guard.guard_in(path),
    ),
    rank=2,
)
