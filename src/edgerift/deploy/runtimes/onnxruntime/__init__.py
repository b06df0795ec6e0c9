"""ONNX Runtime: self-contained QDQ `.onnx` files that run in integer kernels with default session options."""

from pathlib import Path

from edgerift.deploy.builds._runtime import RUNTIMES, Runtime
from edgerift.deploy.runtimes.onnxruntime._build import (
    OnnxRuntimeEngine,
    compile_program,
    open_artefact,
    read_artefact,
)
from edgerift.deploy.runtimes.onnxruntime._guard import guard_in, with_guard
from edgerift.deploy.runtimes.onnxruntime._optimised import translate

RUNTIMES.register(
    "onnxruntime",
    Runtime(
        packages=("onnxruntime", "onnx", "onnxscript"),
        extra="onnxruntime",
        suffix=".onnx",
        arithmetic="onnxruntime",
        targets=("mobile", "server"),
        default_for=("server",),
        compile=compile_program,
        open=open_artefact,
        opening=Path(__file__).with_name("_opening.py"),
        translate=translate,
        read=read_artefact,
        open_read=OnnxRuntimeEngine,
        embed_guard=with_guard,
        embedded_guard=guard_in,
    ),
    rank=2,
)
