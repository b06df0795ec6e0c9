"""ONNX Runtime: self-contained QDQ `.onnx` files that run in integer kernels with default session options."""

from pathlib import Path

from edgerift.deploy.builds._runtime import RUNTIMES, Runtime
from edgerift.deploy.runtimes.onnxruntime._build import (
    OnnxRuntimeEngine,
    compile_program,
    open_artefact,
    read_artefact,
)
from edgerift.deploy.runtimes.onnxruntime._optimised import translate
from edgerift.deploy.twins.onnx._stored_layers import onnx_layers

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
        layers=onnx_layers,
        read=read_artefact,
        open_read=OnnxRuntimeEngine,
    ),
    rank=2,
)
