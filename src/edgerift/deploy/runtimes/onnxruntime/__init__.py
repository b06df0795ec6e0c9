"""ONNX Runtime: self-contained QDQ `.onnx` files that run in integer kernels with default session options."""

from pathlib import Path

from edgerift.deploy.builds._runtime import RUNTIMES, Runtime
from edgerift.deploy.runtimes.onnxruntime._build import compile_program, open_artefact
from edgerift.deploy.runtimes.onnxruntime._optimised import translate
from edgerift.deploy.twins.onnx._files import files_beside, whole_model

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
        files=files_beside,
        whole=whole_model,
    ),
    rank=2,
)
