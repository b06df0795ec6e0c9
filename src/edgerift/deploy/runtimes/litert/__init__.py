"""LiteRT: `.tflite` files, run by one of its three sets of kernels, which answer differently to the same file."""

import functools
from pathlib import Path

from edgerift.deploy.builds._runtime import RUNTIMES, Runtime
from edgerift.deploy.runtimes.litert._build import compile_program, open_artefact, open_read
from edgerift.deploy.runtimes.litert._twins import program_twin, translate
from edgerift.deploy.twins._twin import ARITHMETICS
from edgerift.deploy.twins.tflite._builder import Kernels
from edgerift.deploy.twins.tflite._stored_layers import tflite_layers


def _register(name: str, kernels: Kernels, arithmetic: str, rank: float, files_of: str = "") -> None:
    RUNTIMES.register(
        name,
        Runtime(
            packages=("ai_edge_litert",),
            extra="litert",
            suffix=".tflite",
            arithmetic=arithmetic,
            targets=("mobile",),
            compile=compile_program,
            open=functools.partial(open_artefact, kernels=kernels),
            open_read=functools.partial(open_read, kernels=kernels),
            opening=Path(__file__).with_name("_opening.py"),
            translate=functools.partial(translate, kernels=kernels),
            layers=tflite_layers,
            kernels=kernels,
            files_of=files_of,
        ),
        rank=rank,
    )
    if arithmetic == name:
        ARITHMETICS.register(name, functools.partial(program_twin, kernels=kernels))


_register("litert", "default", "xnnpack", 2.1)
_register("litert-builtin", "builtin", "litert-builtin", 2.2, "litert")
_register("litert-reference", "reference", "litert-reference", 2.3, "litert")
