"""ExecuTorch builds: a `.pte` whose operators run in XNNPACK's integer kernels."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor

from edgerift.deploy.builds._described import specification_of
from edgerift.deploy.builds._described_tflite import with_grids
from edgerift.deploy.builds._opened import LARGEST_BATCH
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._quiet import quiet
from edgerift.deploy.runtimes.executorch._file import image_layout
from edgerift.deploy.runtimes.executorch._graph import executorch_graph
from edgerift.deploy.runtimes.executorch._opening import import_runtime, load_method
from edgerift.deploy.runtimes.executorch._patterns import possible_patterns
from edgerift.deploy.runtimes.executorch._plan import plan_graph
from edgerift.errors import BuildError, ModelError, first_line
from edgerift.specification import Specification
from edgerift.steps import write_whole

#: Operators that XNNPACK approximates, and ExecuTorch's own kernels compute to the last bit.
_APPROXIMATE: Final = ("SquareRootConfig", "ReciprocalSquareRootConfig")

_CHANNELS_LAST: Final = [0, 2, 3, 1]


def compile_program(program: Program, path: Path) -> None:
    """Lower a program to XNNPACK and write the `.pte`; memory is planned for `LARGEST_BATCH` images."""
    with quiet():
        from executorch.backends.xnnpack.partition.config import ALL_PARTITIONER_CONFIGS
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    chosen = [config for config in ALL_PARTITIONER_CONFIGS if config.__name__ not in _APPROXIMATE]
    with quiet():
        module: Any = executorch_graph(program)
    module = module.to(memory_format=torch.contiguous_format)
    # ExecuTorch plans memory for the example's batch, not for the upper bound of the dimension.
    example = torch.zeros(LARGEST_BATCH, *program.shape)
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    try:
        with quiet(), possible_patterns():
            exported = torch.export.export(module, (example,), dynamic_shapes=({0: batch},))
            edge = to_edge_transform_and_lower(
                exported,
                partitioner=[XnnpackPartitioner(configs=chosen)],
                compile_config=EdgeCompileConfig(_check_ir_validity=False),
            )
            written = edge.to_executorch().buffer
    except Exception as error:
        raise BuildError(f"ExecuTorch refused the program: {first_line(error)}") from error
    write_whole(path, written)


def open_artefact(path: Path) -> ExecuTorchEngine:
    """Load a `.pte`; raises :class:`~edgerift.errors.BuildError` when ExecuTorch cannot."""
    return ExecuTorchEngine(path)


def use_threads(threads: int) -> None:
    """Let all programs that are opened from now on compute with so many threads; earlier versions take every core."""
    reset = getattr(import_runtime(), "_unsafe_reset_threadpool", None)
    if reset is not None:
        reset(threads)


def _with_grids(specification: Specification, path: Path) -> Specification:
    """Add the scales of integers that go in and come out, where the file's payload says them."""
    try:
        return with_grids(specification, plan_graph(path))
    except ModelError:
        return specification


@final
class ExecuTorchEngine:
    """A `.pte` in ExecuTorch's own runtime."""

    def __init__(self, path: Path) -> None:
        """Load the program file."""
        self._path = path
        self.version = importlib.metadata.version("executorch")
        try:
            self._method, self._program = load_method(path.read_bytes())
            described = self._method.method_meta().input_tensor_meta(0)
            self.largest, *extents = described.sizes()
            self.specification = specification_of(described.dtype(), (None, *extents), path.name)
            self.extents: tuple[int | None, ...] | None = tuple(extents)
        except (RuntimeError, OSError, IndexError) as error:
            raise BuildError(
                f"ExecuTorch cannot load {path} ({first_line(error)}); it is damaged, or no .pte that version "
                f"{self.version} reads: export it again"
            ) from None
        layout = image_layout(path)
        self._memory = torch.channels_last if layout.order == _CHANNELS_LAST else torch.contiguous_format
        if not self._dtype().is_floating_point:
            self.specification = _with_grids(self.specification, path)
        if layout.fixed or self._is_fixed():
            self.specification = self.specification.replace(input=self.specification.input.replace(batch=self.largest))

    def _is_fixed(self) -> bool:
        """Return whether the file takes its whole batch alone although it says that an extent is free."""
        if self.largest == 1:
            return False
        try:
            self.ask(torch.zeros(1, *self._method.method_meta().input_tensor_meta(0).sizes()[1:]).to(self._dtype()))
        except RuntimeError:
            return True
        return False

    def _dtype(self) -> torch.dtype:
        return self.specification.input.torch_dtype

    def ask(self, inputs: Tensor) -> Any:
        """Answer a batch."""
        # The runtime takes the bytes as they lie, in whatever order that is.
        images = inputs.contiguous(memory_format=self._memory)
        outputs = [output.clone() for output in self._method.call([images])]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def operators(self) -> dict[str, int]:
        """Count the operators that the file calls, by name."""
        from edgerift.deploy.runtimes.executorch._file import operators

        return operators(self._path)

    def integer_macs(self) -> float:
        """The share of multiply-accumulates in XNNPACK's integer kernels, read off the `.pte`."""
        from edgerift.deploy.runtimes.executorch._macs import integer_share

        return integer_share(self._path)
