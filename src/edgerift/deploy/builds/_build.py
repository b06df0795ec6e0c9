"""Builds: a program compiled for one runtime, behind one protocol."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from edgerift.deploy.builds._digest import artefact_digest, read_artefact
from edgerift.deploy.builds._faithful import Answer, first_wrong, images_to_compare, require_faithful
from edgerift.deploy.builds._guarded import guarded_bytes, read_guard, write_guard
from edgerift.deploy.builds._opened import LARGEST_BATCH, OpenedBuild, asked
from edgerift.deploy.builds._runtime import (
    RUNTIMES,
    Build,
    Engine,
    Runtime,
    find_runtime,
    runtimes_for,
    suffixes,
)
from edgerift.deploy.builds._survival import has_survived, note_survival, require_survival
from edgerift.deploy.program._program import Program
from edgerift.deploy.twins._answers import is_on_grid, output_step
from edgerift.errors import BuildError, RecipeError
from edgerift.settings import is_file, no_file
from edgerift.specification import Guard, Specification
from edgerift.steps import write_whole

_WEIGHTS: Final = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def build(
    program: Program,
    runtime: str,
    path: Path | str,
    *,
    images: Tensor | None = None,
    guard: Guard | None = None,
) -> Build:
    """Compile a program for a runtime, compare it with the program, write the artefact to `path` and open it.

    `runtime` is a name in :data:`RUNTIMES`, one that takes the program's target. Its answers to the first of `images`,
    uint8 `[N,C,H,W]`, one at a time and in the largest batch, have to equal the program's up to rounding; by
    default random images are compared. A `guard` ships with the artefact, see :func:`ship_guard`.

    Raises :class:`~edgerift.errors.RecipeError` for an unknown runtime or one that does not take the program's target,
    :class:`~edgerift.errors.MissingRuntimeError` when it is not installed and :class:`~edgerift.errors.BuildError` when
    it refuses the program or gives other answers; then nothing is written.
    """
    chosen = find_runtime(runtime)
    if program.target not in chosen.targets:
        fitting = ", ".join(sorted(runtimes_for(program.target)))
        raise RecipeError(
            f"runtime '{runtime}' takes target {' or '.join(chosen.targets)}, this program is for {program.target}; "
            f"choose from {fitting}, or adapt with --target {chosen.targets[0]}"
        )
    artefact = _checked_artefact(program, runtime, chosen, images_to_compare(program, images))
    artefact = artefact if guard is None else guarded_bytes(guard, runtime, artefact)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, artefact)
    write_guard(guard, runtime, path)
    note_survival(runtime, hashlib.sha256(artefact).hexdigest())
    return OpenedBuild(runtime, path, chosen.open(path), guard=guard)


def _checked_artefact(program: Program, runtime: str, chosen: Runtime, images: Tensor) -> bytes:
    """Compile a program in a temporary folder and check that its answers are the program's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{chosen.suffix}"

        def answer(part: Program) -> Tensor:
            chosen.compile(part, path)
            return _try_batches(chosen.open(path), part, images)

        chosen.compile(program, path)
        artefact = path.read_bytes()
        try:
            answers = _try_batches(chosen.open(path), program, images)
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


def _try_batches(engine: Engine, program: Program, images: Tensor) -> Tensor:
    """Answer images in the largest batch, and check that a single one gets the same answer, up to two levels."""
    batch = images.repeat(-(-LARGEST_BATCH // len(images)), 1, 1, 1)[:LARGEST_BATCH]
    answers = asked(engine, batch)[: len(images)]
    alone = asked(engine, images[:1])
    levels = 2 * output_step(program) if is_on_grid(program) else 0.0
    allowed = max(levels, 1e-2 * float(answers.nan_to_num().std()))
    if not torch.allclose(answers[:1], alone, rtol=1e-3, atol=allowed, equal_nan=True):
        raise BuildError(
            f"the build's answer to an image depends on the batch size (1 or {LARGEST_BATCH}): "
            "the runtime fixes the batch size somewhere; choose another one, or rewrite the model"
        )
    return answers


def open_build(
    path: Path | str,
    runtime: str | None = None,
    *,
    trust: bool = False,
    specification: Specification | None = None,
) -> OpenedBuild:
    """Open an artefact that was built before, by edgerift or not; the default runtime follows from the suffix.

    `specification` says how a model of another tool wants its images and what it answers, where its file does not.
    An Inductor package holds machine code, which runs on opening: that requires `trust=True`. An artefact that this
    process has not made is opened by a child process first, which a damaged one may crash. A guard beside the artefact
    becomes the build's. Raises
    :class:`~edgerift.errors.BuildError` when the file is missing, its kind is not known, it crashed the child, the
    child could not try it, or it changed meanwhile.
    """
    path = Path(path)
    if not is_file(path):
        raise BuildError(no_file("build", path, "`edgerift adapt --runtime NAME --out DIR` writes one"))
    by_suffix = {suffix: name for name, suffix in suffixes().items()}
    meant = by_suffix.get(path.suffix)
    if runtime is not None and meant is not None and path.suffix != find_runtime(runtime).suffix:
        raise BuildError(f"{path} is a file of runtime {meant}, not of {runtime}; leave out --runtime, or rename it")
    name = runtime or by_suffix.get(path.suffix)
    if name is None:
        hint = "; weights are an original, not a build: give them with --original" if path.suffix in _WEIGHTS else ""
        known = ", ".join(sorted(by_suffix))
        raise BuildError(f"cannot determine the runtime of {path.name}; known suffixes: {known}{hint}")
    if find_runtime(name).runs_code and not trust:
        raise BuildError(f"{path} holds machine code that opening it would run; pass --trust if you made it yourself")
    return OpenedBuild(name, path, _opened(name, path), specification, read_guard(name, path))


def _opened(runtime: str, path: Path) -> Engine:
    """Open an artefact, after a child process where its content is not known, and check that it did not change."""
    artefact = read_artefact(runtime, path)
    digest = hashlib.sha256(artefact.content).hexdigest()
    if not has_survived(runtime, digest):
        require_survival(runtime, path)
        _require_same(runtime, path, digest)
    open_read = RUNTIMES[runtime].open_read
    if open_read is not None:  # What was read is what was tried: it cannot change any more.
        opened = open_read(path, artefact)
    else:
        opened = RUNTIMES[runtime].open(path)
        _require_same(runtime, path, digest)
    note_survival(runtime, digest)
    return opened


def _require_same(runtime: str, path: Path, digest: str) -> None:
    if artefact_digest(runtime, path) != digest:
        raise BuildError(f"{path} changed while it was opened; open it again when what writes it has ended")
