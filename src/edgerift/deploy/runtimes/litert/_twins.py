"""The twins of the sets of kernels, made from files: of any `.tflite`, and of programs by what they become."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, fx, nn

from edgerift.deploy.program._program import Program
from edgerift.deploy.runtimes.litert._translation import tflite_content
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins.tflite._builder import Kernels
from edgerift.deploy.twins.tflite._module import TfliteModule, tflite_module


def translate(path: Path, output: str | None, kernels: Kernels) -> TfliteModule:
    """Make the module that computes what a set of kernels does with a file; `output` names one of several.

    Raises :class:`~edgerift.errors.ModelError` for what has no translation.
    """
    return tflite_module(path.read_bytes(), output, kernels)


def program_twin(program: Program, kernels: Kernels) -> Body:
    """Translate a program into what a set of kernels computes with its file.

    Raises :class:`~edgerift.errors.BuildError` for a program that has no file.
    """
    root, graph = nn.Module(), fx.Graph()
    root.add_module("model", tflite_module(tflite_content(program), None, kernels))
    images = graph.placeholder("images")
    graph.output(graph.call_module("model", (graph.call_function(channels_last, (images,)),)))
    return Body(root, graph)


def channels_last(images: Tensor) -> Tensor:
    """View images `[N,C,H,W]` as `[N,H,W,C]`."""
    return images.permute(0, 2, 3, 1)
