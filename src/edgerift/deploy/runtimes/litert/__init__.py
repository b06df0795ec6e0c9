"""LiteRT: `.tflite` files, run by one of its three sets of kernels, which answer differently to the same file."""

import functools
from pathlib import Path

from edgerift.deploy.builds._runtime import RUNTIMES, Runtime
from edgerift.deploy.runtimes.litert._build import compile_program, open_artefact

_NAME = "litert"
#: The arithmetic of each set of kernels.
_ARITHMETICS = {"default": "xnnpack", "builtin": "litert-builtin", "reference": "litert-reference"}

for _place, (_kernels, _arithmetic) in enumerate(_ARITHMETICS.items()):
    RUNTIMES.register(
        _NAME if _place == 0 else f"{_NAME}-{_kernels}",
        Runtime(
            packages=("ai_edge_litert",),
            extra="litert",
            suffix=".tflite",
            arithmetic=_arithmetic,
            targets=("mobile",),
            compile=compile_program,
            open=functools.partial(open_artefact, kernels=_kernels),
            opening=Path(__file__).with_name("_opening.py"),
            kernels=_kernels,
            files_of="" if _place == 0 else _NAME,
        ),
        rank=2.1 + _place / 10,
    )
