"""ONNX Runtime builds: a self-contained QDQ `.onnx` that runs in integer kernels with default session options."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from edgerift.deploy.builds._build import fingerprint, in_batches
from edgerift.deploy.builds._runtime import Fingerprint
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._quiet import quiet
from edgerift.deploy.runtimes.onnxruntime._files import weight_files
from edgerift.deploy.runtimes.onnxruntime._opening import open_session
from edgerift.deploy.twins._onnx_graph import OPSET, runtime_graph
from edgerift.errors import BuildError, first_line
from edgerift.images import to_float
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


def open_artefact(path: Path) -> OnnxRuntimeBuild:
    """Load an `.onnx`; raises :class:`~edgerift.errors.BuildError` when ONNX Runtime cannot."""
    return OnnxRuntimeBuild(path)


@final
class OnnxRuntimeBuild:
    """An `.onnx` in ONNX Runtime's CPU provider, with its default options."""

    runtime = "onnxruntime"

    def __init__(self, path: Path) -> None:
        """Load the model file."""
        self.path = path
        try:
            weight_files(path)
            self._session = open_session(str(path), torch.get_num_threads())
            self._channels = _channels(self._session)
        except BuildError:
            raise
        except Exception as error:
            raise BuildError(f"ONNX Runtime cannot load {path}: {first_line(error)}") from None

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with float32 logits `[N,K]`."""
        parts = in_batches(images, channels=self._channels)
        try:
            answers = [self._session.run([_OUTPUT], {_INPUT: to_float(part).numpy()})[0] for part in parts]
        except Exception as error:
            shape = list(images.shape)
            raise BuildError(f"{self.path.name} refused images of shape {shape}: {first_line(error)}") from None
        return torch.cat([torch.from_numpy(answer) for answer in answers])

    def fingerprint(self) -> Fingerprint:
        """Return what determines this build's answers."""
        return fingerprint(self.runtime, importlib.metadata.version("onnxruntime"), self.path)

    def integer_macs(self) -> float:
        """The share of multiply-accumulates in integer kernels, read off the graph that ONNX Runtime optimised."""
        from edgerift.deploy.runtimes.onnxruntime._macs import integer_share

        return integer_share(self.path)


def _channels(session: Any) -> int:
    """Read how many channels a model takes; 3 where its file leaves that open."""
    shape = session.get_inputs()[0].shape
    return shape[1] if len(shape) == 4 and isinstance(shape[1], int) else 3


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


def _reason(error: BaseException) -> str:
    """The innermost cause: the exporter wraps it in its own advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)
