"""Inductor builds: a `.pt2` package of machine code whose operators run in oneDNN's int8 kernels."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor

from edgerift.deploy.program._program import Program
from edgerift.deploy.program._quiet import quiet
from edgerift.deploy.program._spelling import read_program
from edgerift.deploy.runtimes.inductor._macs import IMAGE_SHAPE, TOTAL_MACS, image_shape, integer_share
from edgerift.deploy.runtimes.inductor._one_channel import widen_single_channels
from edgerift.errors import BuildError, MissingRuntimeError, first_line
from edgerift.images import ImageShape
from edgerift.specification import InputSpecification, Specification
from edgerift.steps import write_whole

#: On CPUs with matrix tiles (AMX) oneDNN computes a linear layer of many rows with another kernel, whose
#: logits differ in the last bit. In pieces of this many, the answers do not depend on the batch size.
_LARGEST_PIECE: Final = 16
#: Inductor treats an example batch size that equals the bound or a number of channels as a constant.
_EXAMPLE_BATCH: Final = 13


def compile_program(program: Program, path: Path) -> None:
    """Compile a program to machine code for this CPU and write the `.pt2`.

    Raises :class:`~edgerift.errors.MissingRuntimeError` without a C++ compiler and
    :class:`~edgerift.errors.BuildError` when Inductor refuses the program.
    """
    lacking = missing_compiler()
    if lacking is not None:
        raise MissingRuntimeError(f"runtime 'inductor' {lacking}")
    module = read_program(program)
    widen_single_channels(module)
    example = torch.zeros(_EXAMPLE_BATCH, *program.shape)
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_PIECE)
    try:
        with quiet(), tempfile.TemporaryDirectory() as folder, torch.no_grad():
            exported = torch.export.export(module, (_channels_last(example),), dynamic_shapes=({0: batch},))
            package = Path(folder) / "model.pt2"
            _inductor().aoti_compile_and_package(
                exported,
                package_path=str(package),
                inductor_configs=_options(_total_macs(module, program.shape), program.shape),
            )
            written = package.read_bytes()
    except Exception as error:
        raise BuildError(f"Inductor refused the program: {first_line(error)}") from error
    write_whole(path, written)


def open_artefact(path: Path) -> InductorEngine:
    """Load a `.pt2`, which runs the machine code in it; raises :class:`~edgerift.errors.BuildError` if it cannot."""
    return InductorEngine(path)


def missing_compiler() -> str | None:
    """Name what this machine lacks: the C++ compiler that Inductor calls (`g++`, or `CXX`), or nothing."""
    from torch._inductor import config

    if any(shutil.which(name) is not None for name in config.cpp.cxx if name):
        return None
    return "needs a C++ compiler, and none is found: apt-get install g++"


@final
class InductorEngine:
    """A `.pt2` package in PyTorch's own ahead-of-time runtime."""

    def __init__(self, path: Path) -> None:
        """Load the package and the machine code in it."""
        self._path = path
        self.version: str = torch.__version__
        self.specification, self.largest = Specification(), _LARGEST_PIECE
        if not zipfile.is_zipfile(path):
            raise BuildError(f"Inductor cannot load {path}: it is not a .pt2 package; compile it again")
        if not _holds_machine_code(path):
            raise BuildError(
                f"Inductor cannot load {path}: it holds no machine code; what torch.export.save wrote is an original, "
                "to be given with --original"
            )
        image = image_shape(path)
        self.extents: tuple[int | None, ...] | None = image
        if image is not None and image.channels == 1:
            self.specification = Specification(input=InputSpecification(channels="grey"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._run: Any = _inductor().aoti_load_package(str(path))
        except Exception as error:
            raise BuildError(f"Inductor cannot load {path}: {first_line(error)}") from None

    def ask(self, inputs: Tensor) -> Any:
        """Answer a batch."""
        with torch.no_grad():
            return self._run(_channels_last(inputs))

    def operators(self) -> dict[str, int]:
        """Machine code has no operators."""
        return {}

    def integer_macs(self) -> float:
        """The share of multiply-accumulates in oneDNN's int8 kernels, read off the `.pt2`."""
        return integer_share(self._path)


def _holds_machine_code(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as package:
            return any(name.endswith((".so", ".cpp", ".o")) for name in package.namelist())
    except zipfile.BadZipFile:  # The loader says why.
        return True


def _options(total_macs: int, shape: ImageShape) -> dict[str, Any]:
    return {
        "freezing": True,  # Only frozen weights are packed for the int8 kernels.
        "cpp.dynamic_threads": True,  # Otherwise this process's number of threads is compiled in.
        "aot_inductor.compile_wrapper_opt_level": "O0",  # The wrapper only calls kernels, which keep their own level.
        "aot_inductor.metadata": {TOTAL_MACS: str(total_macs), IMAGE_SHAPE: str(shape)},
    }


def _inductor() -> Any:
    import torch._inductor

    return torch._inductor


def _channels_last(images: Tensor) -> Tensor:
    """Lay images out as the machine code reads them, which does not check."""
    return images.contiguous(memory_format=torch.channels_last)


def _total_macs(module: torch.nn.Module, shape: ImageShape) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(torch.zeros(1, *shape))
    return int(counter.get_total_flops()) // 2
