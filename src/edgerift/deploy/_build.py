"""Builds: a program compiled for one runtime, behind one protocol."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor

from edgerift.deploy._program import Program, Target
from edgerift.deploy._twin import Arithmetic
from edgerift.errors import BuildError, MissingRuntimeError, RecipeError, unknown_name
from edgerift.recipes import Settings, is_file

#: The most images that a build takes in one call of its runtime; ExecuTorch plans its memory for this many.
LARGEST_BATCH: Final = 64


class Fingerprint(Settings):
    """What decides a build's answers: the runtime and its version, the processor, and the artefact's bytes."""

    runtime: str
    version: str
    sha256: str
    processor: str
    instructions: str


class Build(Protocol):
    """A program compiled for one runtime: an artefact file that answers uint8 images."""

    @property
    def runtime(self) -> str:
        """The runtime's name."""

    @property
    def path(self) -> Path:
        """The artefact."""

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,3,H,W]` with float32 logits `[N,K]`, in batches that the runtime can take."""

    def fingerprint(self) -> Fingerprint:
        """Say what decides this build's answers."""

    def integer_macs(self) -> float:
        """The share of multiply-accumulates that run in integer kernels, in [0, 1], read off the compiled artefact."""


@dataclass(frozen=True)
class Runtime:
    """How to reach one runtime: its adapter, the packages it needs (its own first), the pip extra that has them."""

    module: str
    packages: tuple[str, ...]
    extra: str
    suffix: str
    arithmetic: Arithmetic
    targets: tuple[Target, ...]


RUNTIMES: Final = {
    "executorch": Runtime("edgerift.deploy._executorch", ("executorch",), "executorch", ".pte", "xnnpack", ("mobile",)),
    "onnxruntime": Runtime(
        "edgerift.deploy._onnxruntime",
        ("onnxruntime", "onnx", "onnxscript"),
        "onnxruntime",
        ".onnx",
        "onnxruntime",
        ("mobile", "server"),
    ),
    "inductor": Runtime("edgerift.deploy._inductor", ("torch",), "", ".pt2", "graph", ("server",)),
}


class _Adapter(Protocol):
    """What every runtime's adapter module offers."""

    def compile_program(self, program: Program, path: Path) -> None:
        """Compile a program and write the artefact, whole or not at all."""

    def open_artefact(self, path: Path) -> Build:
        """Open an artefact for answering."""


def build(program: Program, runtime: str, path: Path | str) -> Build:
    """Compile a program for a runtime, write the artefact to `path` and open it.

    `runtime` is `executorch` (XNNPACK, `.pte`, target mobile), `onnxruntime` (QDQ, `.onnx`, both targets) or `inductor`
    (x86, `.pt2`, target server). Raises :class:`~edgerift.errors.RecipeError` for an unknown runtime or one that does
    not take the program's target, :class:`~edgerift.errors.MissingRuntimeError` when it is not installed and
    :class:`~edgerift.errors.BuildError` when it refuses the program.
    """
    chosen = find_runtime(runtime)
    if program.target not in chosen.targets:
        fitting = ", ".join(sorted(name for name, entry in RUNTIMES.items() if program.target in entry.targets))
        raise RecipeError(
            f"runtime '{runtime}' takes target {' or '.join(chosen.targets)}, this program is for {program.target}; "
            f"choose from {fitting}, or adapt with --target {chosen.targets[0]}"
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    adapter = _adapter(runtime)
    adapter.compile_program(program, path)
    return adapter.open_artefact(path)


def open_build(path: Path | str, runtime: str | None = None, *, trust: bool = False) -> Build:
    """Open an artefact that was built before; the runtime follows from the suffix unless it is named.

    An Inductor package holds machine code, which opening it runs: that asks for `trust=True`. Raises
    :class:`~edgerift.errors.BuildError` when the file is missing or its kind is not known.
    """
    path = Path(path)
    if not is_file(path):
        raise BuildError(f"no build at {path}; `edgerift adapt --runtime NAME --out DIR` writes one")
    by_suffix = {entry.suffix: name for name, entry in RUNTIMES.items()}
    name = runtime or by_suffix.get(path.suffix)
    if name is None:
        raise BuildError(f"cannot tell the runtime of {path.name}; known suffixes: {', '.join(sorted(by_suffix))}")
    find_runtime(name)
    if name == "inductor" and not trust:
        raise BuildError(f"{path} holds machine code that opening it would run; pass --trust if you made it yourself")
    return _adapter(name).open_artefact(path)


def find_runtime(name: str) -> Runtime:
    """Look a runtime up and make sure that it is installed."""
    if name not in RUNTIMES:
        raise RecipeError(unknown_name("runtime", name, RUNTIMES))
    chosen = RUNTIMES[name]
    if any(importlib.util.find_spec(package) is None for package in chosen.packages):
        raise MissingRuntimeError(f"runtime '{name}' is not installed: pip install 'edgerift[{chosen.extra}]'")
    return chosen


def _adapter(runtime: str) -> _Adapter:
    return importlib.import_module(RUNTIMES[runtime].module)


def fingerprint(runtime: str, version: str, path: Path) -> Fingerprint:
    """Fingerprint an artefact together with the machine that runs it."""
    return Fingerprint(
        runtime=runtime,
        version=version,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        processor=platform.machine(),
        instructions=torch.backends.cpu.get_cpu_capability(),
    )


def in_batches(images: Tensor, largest: int = LARGEST_BATCH) -> list[Tensor]:
    """Check a batch of uint8 images `[N,3,H,W]` and cut it into pieces of at most `largest`, contiguous as C is.

    A runtime that is given memory in another order (channels last) may read it as if it were in this one.

    Raises :class:`~edgerift.errors.BuildError` for another type or shape.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
        raise BuildError(
            f"a build takes uint8 images [N,3,H,W]; got {str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
        )
    return list(images.cpu().contiguous().split(largest))
