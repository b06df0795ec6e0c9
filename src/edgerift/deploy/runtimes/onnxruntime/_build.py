"""ONNX Runtime builds: a self-contained QDQ `.onnx` that runs in integer kernels with default session options."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from edgerift.deploy.builds._opened import LARGEST_BATCH
from edgerift.deploy.builds._runtime import Artefact
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._quiet import quiet
from edgerift.deploy.runtimes.onnxruntime._described import describe_model
from edgerift.deploy.runtimes.onnxruntime._opening import open_session
from edgerift.deploy.twins._onnx_graph import OPSET, runtime_graph
from edgerift.deploy.twins.onnx._files import UnreadableModelError, proto_of, read_model
from edgerift.errors import BuildError, first_line
from edgerift.steps import write_whole

_INPUT = "images"
_OUTPUT = "logits"


def compile_program(program: Program, path: Path) -> None:
    """Export a program as ONNX, check that ONNX Runtime takes it, and write the file.

    Raises :class:`~edgerift.errors.BuildError` when the exporter or ONNX Runtime refuses it.
    """
    try:
        written = _export(program)
        open_session(written, torch.get_num_threads())
    except BuildError:
        raise
    except Exception as error:
        raise BuildError(f"ONNX Runtime refused the program: {_reason(error)}") from error
    write_whole(path, written)


def read_artefact(path: Path) -> Artefact:
    """Read and parse an `.onnx` together with the weights beside it; what is no model is read and fails on opening."""
    try:
        return Artefact(*read_model(path))
    except UnreadableModelError:
        return Artefact(path.read_bytes())


def open_artefact(path: Path) -> OnnxRuntimeEngine:
    """Load an `.onnx`; raises :class:`~edgerift.errors.BuildError` when ONNX Runtime cannot."""
    return OnnxRuntimeEngine(path)


@final
class OnnxRuntimeEngine:
    """An `.onnx` in ONNX Runtime's CPU provider, with its default options."""

    def __init__(self, path: Path, artefact: Artefact | None = None) -> None:
        """Load the model file, or what was read of it."""
        self._path = path
        self.version = importlib.metadata.version("onnxruntime")
        try:
            model = str(path) if artefact is None else artefact.content
            self._session = open_session(model, torch.get_num_threads())
        except Exception as error:
            raise BuildError(f"ONNX Runtime cannot load {path} ({_told(error)}); {_remedy(error)}") from None
        parsed = None if artefact is None else artefact.parsed
        described = describe_model(proto_of(path) if parsed is None else parsed, path.name)
        self.specification, self.extents = described.specification, described.extents
        # What quantizes dynamically answers an image by the others in its batch.
        self.largest = 1 if described.is_dynamic else LARGEST_BATCH
        self._input = described.specification.input.name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def ask(self, inputs: Tensor) -> Any:
        """Answer a batch."""
        answers = [torch.from_numpy(answer) for answer in self._session.run(None, {self._input: inputs.numpy()})]
        return dict(zip(self._outputs, answers, strict=True))

    def operators(self) -> dict[str, int]:
        """Count the operators of the graph that ONNX Runtime optimised, by name."""
        from edgerift.deploy.runtimes.onnxruntime._optimised import operators

        return operators(self._path)

    def integer_macs(self) -> float:
        """The share of multiply-accumulates in integer kernels, read off the graph that ONNX Runtime optimised."""
        from edgerift.deploy.runtimes.onnxruntime._macs import integer_share

        return integer_share(self._path)


def _export(program: Program) -> bytes:
    example = torch.zeros(2, *program.shape)
    batch = torch.export.Dim("batch", min=1, max=65536)
    with quiet():
        exported: Any = torch.onnx.export(
            runtime_graph(program),
            (example,),
            dynamo=True,
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            input_names=[_INPUT],
            output_names=[_OUTPUT],
            verbose=False,
        )
        model = exported.model_proto
    # What the exporter notes about each node names this machine's sources and is half of a small model's file.
    for entry in (*model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del entry.metadata_props[:]
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _told(error: Exception) -> str:
    """What ONNX Runtime says, without its codes."""
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .* failed: ?)?", "", first_line(error))


def _remedy(error: Exception) -> str:
    if "not a registered" in str(error):
        return "export it with operators that ONNX Runtime has"
    return "it is damaged, or no ONNX model: copy it again, or export it again"


def _reason(error: BaseException) -> str:
    """The innermost cause: the exporter wraps it in its own advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
