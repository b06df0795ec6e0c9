"""ExecuTorch builds: a `.pte` whose operators run in XNNPACK's integer kernels."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from edgerift.deploy.builds._build import LARGEST_BATCH, fingerprint, in_batches
from edgerift.deploy.builds._runtime import Fingerprint
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._quiet import quiet
from edgerift.deploy.runtimes.executorch._graph import executorch_graph
from edgerift.deploy.runtimes.executorch._opening import load_method
from edgerift.errors import BuildError, first_line
from edgerift.images import to_float
from edgerift.steps import write_whole


def compile_program(program: Program, path: Path) -> None:
    """Lower a program to XNNPACK and write the `.pte`; memory is planned for `LARGEST_BATCH` images."""
    with quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    with quiet():
        module: Any = executorch_graph(program)
    module = module.to(memory_format=torch.contiguous_format)
    # ExecuTorch plans memory for the example's batch, not for the upper bound of the dimension.
    example = torch.zeros(LARGEST_BATCH, *program.shape)
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    try:
        with quiet():
            exported = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
            edge = to_edge_transform_and_lower(
                exported,
                partitioner=[XnnpackPartitioner()],
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            written = edge.to_executorch().buffer
    except Exception as error:
        raise BuildError(f"ExecuTorch refused the program: {first_line(error)}") from error
    write_whole(path, written)


def open_artefact(path: Path) -> ExecuTorchBuild:
    """Load a `.pte`; raises :class:`~edgerift.errors.BuildError` when ExecuTorch cannot."""
    return ExecuTorchBuild(path)


@final
class ExecuTorchBuild:
    """A `.pte` in ExecuTorch's own runtime."""

    runtime = "executorch"

    def __init__(self, path: Path) -> None:
        """Load the program file."""
        self.path = path
        try:
            self._method, self._program = load_method(path.read_bytes())
            self._largest, *self._image = self._method.method_meta().input_tensor_meta(0).sizes()
        except (RuntimeError, OSError, IndexError) as error:
            raise BuildError(f"ExecuTorch cannot load {path}: {first_line(error)}") from None

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with float32 logits `[N,K]`."""
        parts = in_batches(images, self._largest, self._image[0])
        if list(images.shape[2:]) != self._image[1:]:
            # ExecuTorch would take any shape that fits into the planned memory, and return garbage.
            raise BuildError(f"{self.path.name} takes images {self._image}; got {list(images.shape[1:])}")
        try:
            answers = [self._method.call([to_float(part)])[0].clone() for part in parts]
        except RuntimeError as error:
            raise BuildError(
                f"{self.path.name} refused images of shape {list(images.shape)}: {first_line(error)}"
            ) from None
        return torch.cat(answers)

    def fingerprint(self) -> Fingerprint:
        """Return what determines this build's answers."""
        return fingerprint(self.runtime, importlib.metadata.version("executorch"), self.path)

    def integer_macs(self) -> float:
        """The share of multiply-accumulates in XNNPACK's integer kernels, read off the `.pte`."""
        from edgerift.deploy.runtimes.executorch._macs import integer_share

        return integer_share(self.path)
