"""Builds: a program compiled for one runtime, behind one protocol."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import platform
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor

from edgerift.deploy.program._program import Program, Target
from edgerift.deploy.runtimes._faithful import Answer, first_wrong, images_to_compare, require_faithful
from edgerift.deploy.runtimes._survival import has_survived, note_survival, require_survival
from edgerift.deploy.twins._answers import is_on_grid, output_step
from edgerift.deploy.twins._twin import Arithmetic
from edgerift.errors import BuildError, MissingRuntimeError, RecipeError, unknown_name
from edgerift.settings import Settings, is_file
from edgerift.steps import write_whole

#: The most images that a build takes in one call of its runtime; ExecuTorch plans its memory for this many.
LARGEST_BATCH: Final = 64


class Fingerprint(Settings):
    """What decides a build's answers: the runtime and its version, the processor, and the bytes of all its files."""

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
    "executorch": Runtime(
        "edgerift.deploy.runtimes._executorch", ("executorch",), "executorch", ".pte", "xnnpack", ("mobile",)
    ),
    "onnxruntime": Runtime(
        "edgerift.deploy.runtimes._onnxruntime",
        ("onnxruntime", "onnx", "onnxscript"),
        "onnxruntime",
        ".onnx",
        "onnxruntime",
        ("mobile", "server"),
    ),
    "inductor": Runtime("edgerift.deploy.runtimes._inductor", ("torch",), "", ".pt2", "graph", ("server",)),
}


class _Adapter(Protocol):
    """What every runtime's adapter module offers."""

    def compile_program(self, program: Program, path: Path) -> None:
        """Compile a program and write the artefact, whole or not at all."""

    def open_artefact(self, path: Path) -> Build:
        """Open an artefact for answering."""


def build(program: Program, runtime: str, path: Path | str, *, images: Tensor | None = None) -> Build:
    """Compile a program for a runtime, compare it with the program, write the artefact to `path` and open it.

    `runtime` is `executorch` (XNNPACK, `.pte`, target mobile), `onnxruntime` (QDQ, `.onnx`, both targets) or `inductor`
    (x86, `.pt2`, target server). What it answers to the first of `images`, uint8 `[N,3,H,W]`, one at a time and in the
    largest batch, has to be what the program answers but for rounding; without them, random images are compared.

    Raises :class:`~edgerift.errors.RecipeError` for an unknown runtime or one that does not take the program's target,
    :class:`~edgerift.errors.MissingRuntimeError` when it is not installed and :class:`~edgerift.errors.BuildError` when
    it refuses the program or answers otherwise; then nothing is written.
    """
    chosen = find_runtime(runtime)
    if program.target not in chosen.targets:
        fitting = ", ".join(sorted(name for name, entry in RUNTIMES.items() if program.target in entry.targets))
        raise RecipeError(
            f"runtime '{runtime}' takes target {' or '.join(chosen.targets)}, this program is for {program.target}; "
            f"choose from {fitting}, or adapt with --target {chosen.targets[0]}"
        )
    artefact = _checked_artefact(program, runtime, chosen, images_to_compare(program, images))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, artefact)
    note_survival(runtime, hashlib.sha256(artefact).hexdigest())
    return _adapter(runtime).open_artefact(path)


def _checked_artefact(program: Program, runtime: str, chosen: Runtime, images: Tensor) -> bytes:
    """Compile a program in a folder of its own and make sure that it answers as the program does."""
    adapter = _adapter(runtime)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{chosen.suffix}"

        def answer(part: Program) -> Tensor:
            adapter.compile_program(part, path)
            return _try_batches(adapter.open_artefact(path), part, images)

        adapter.compile_program(program, path)
        artefact = path.read_bytes()
        try:
            answers = _try_batches(adapter.open_artefact(path), program, images)
        except BuildError as error:
            part = first_wrong(program, lambda part: _raises(answer, part))
            raise BuildError(f"{str(error).replace(f'{path}', 'what it made')}; it begins at {part}") from error
        require_faithful(program, answer, answers, images, chosen.arithmetic)
    return artefact


def _raises(answer: Answer, part: Program) -> bool:
    try:
        answer(part)
    except BuildError:
        return True
    return False


def _try_batches(build: Build, program: Program, images: Tensor) -> Tensor:
    """Answer images in the largest batch, and make sure that a single one gets the same answer, up to two levels."""
    batch = images.repeat(-(-LARGEST_BATCH // len(images)), 1, 1, 1)[:LARGEST_BATCH]
    answers = build.predict(batch)[: len(images)]
    alone = build.predict(images[:1])
    levels = 2 * output_step(program) if is_on_grid(program) else 0.0
    allowed = max(levels, 1e-2 * float(answers.nan_to_num().std()))
    if not torch.allclose(answers[:1], alone, rtol=1e-3, atol=allowed, equal_nan=True):
        raise BuildError(
            f"the build answers an image otherwise when it comes alone than among {LARGEST_BATCH}: "
            f"{build.runtime} fixes the batch size somewhere; choose another runtime, or another spelling in the model"
        )
    return answers


def open_build(path: Path | str, runtime: str | None = None, *, trust: bool = False) -> Build:
    """Open an artefact that was built before; the runtime follows from the suffix unless it is named.

    An Inductor package holds machine code, which opening it runs: that asks for `trust=True`. An artefact that this
    process has not made is opened by a child process first, which a damaged one may end. Raises
    :class:`~edgerift.errors.BuildError` when the file is missing, its kind is not known, it ended the child, the child
    could not try it, or it changed meanwhile.
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
    return _opened(name, path)


def _opened(runtime: str, path: Path) -> Build:
    """Open an artefact, after a child process where its content is not known, and make sure that it stayed the same."""
    digest = artefact_digest(runtime, path)
    if not has_survived(runtime, digest):
        require_survival(runtime, path)
        _require_same(runtime, path, digest)
    opened = _adapter(runtime).open_artefact(path)
    _require_same(runtime, path, digest)
    note_survival(runtime, digest)
    return opened


def _require_same(runtime: str, path: Path, digest: str) -> None:
    if artefact_digest(runtime, path) != digest:
        raise BuildError(f"{path} changed while it was opened; open it again when what writes it has ended")


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
        sha256=artefact_digest(runtime, path),
        processor=platform.machine(),
        instructions=torch.backends.cpu.get_cpu_capability(),
    )


def artefact_digest(runtime: str, path: Path) -> str:
    """The SHA-256 of an artefact, of an ONNX model that keeps weights in files beside itself with all of them inside.

    Raises :class:`~edgerift.errors.BuildError` when a file is missing or lies outside the artefact's folder.
    """
    return hashlib.sha256(whole_artefact(runtime, path)).hexdigest()


def whole_artefact(runtime: str, path: Path) -> bytes:
    """Read an artefact as one file: an ONNX model together with the weights that it keeps beside itself."""
    try:
        if not _weights_beside(runtime, path):
            return path.read_bytes()
    except OSError as error:
        raise BuildError(f"cannot read {path} ({error.strerror}); give the path of the file") from None
    from edgerift.deploy.runtimes._onnx_files import whole_model

    return whole_model(path)


def _weights_beside(runtime: str, path: Path) -> tuple[str, ...]:
    if runtime != "onnxruntime":
        return ()
    from edgerift.deploy.runtimes._onnx_files import UnreadableModelError, weight_files

    try:
        return weight_files(path)
    except UnreadableModelError:
        return ()  # It names no files, and whoever opens it hears what it is.


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
