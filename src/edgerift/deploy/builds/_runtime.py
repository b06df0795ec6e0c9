"""The registry of runtimes: each is registered by the folder that compiles for it and opens its artefacts."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import Field

from edgerift.deploy.program._target import Target
from edgerift.errors import MissingRuntimeError, RecipeError, unknown_name
from edgerift.settings import Registry, Settings, is_none
from edgerift.specification import Guard

if TYPE_CHECKING:
    from torch import Tensor

    from edgerift.deploy.program._program import Program
    from edgerift.deploy.program._stored_layers import StoredLayer
    from edgerift.deploy.twins._translated_module import TranslatedModule
    from edgerift.specification import Specification


class Fingerprint(Settings):
    """What determines a build's answers: the runtime and its version, the processor, and the bytes of all its files.

    `guard` is the one that ships with the build, None for a build without one.
    """

    runtime: str
    version: str
    sha256: str
    processor: str
    instructions: str
    guard: Guard | None = Field(default=None, exclude_if=is_none)


class Build(Protocol):
    """A program compiled for one runtime: an artefact file that answers uint8 images."""

    @property
    def runtime(self) -> str:
        """The runtime's name."""

    @property
    def path(self) -> Path:
        """The artefact."""

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with float32 logits `[N,K]`, in batches that the runtime can take."""

    def fingerprint(self) -> Fingerprint:
        """Return what determines this build's answers."""

    def integer_macs(self) -> float:
        """The share of multiply-accumulates that run in integer kernels, in [0, 1], read off the compiled artefact."""


class Engine(Protocol):
    """An artefact that a runtime has loaded.

    `version` is the runtime's, `specification` what the file itself says of its input and output, `largest` the most
    images that it takes at once, and `extents` those of its input behind the batch, None where one is free; the whole
    is None where the file does not tell.
    """

    version: str
    specification: Specification
    largest: int
    extents: tuple[int | None, ...] | None

    def ask(self, inputs: Tensor) -> Any:
        """Answer a batch as the specification says that the model takes it; may raise anything."""

    def operators(self) -> dict[str, int]:
        """Count the operators that the runtime computes, by name; none where the artefact is machine code."""

    def integer_macs(self) -> float:
        """The share of multiply-accumulates that run in integer kernels, in [0, 1], read off the compiled artefact."""


def _nothing_missing() -> str | None:
    return None


@dataclass(frozen=True)
class Artefact:
    """What was read of an artefact: its files as one, and what its runtime has understood of them, if anything."""

    content: bytes
    parsed: Any = None


def _no_guard(path: Path) -> Guard | None:
    return None


def _one_file(path: Path) -> Artefact:
    return Artefact(path.read_bytes())


@dataclass(frozen=True)
class Runtime:
    """The description of one runtime.

    `packages` are those that it needs, its own first, and `extra` is the pip extra that installs them; `missing` names
    what else this machine lacks, if anything. `compile` writes a program's artefact, whole or not at all, and `open`
    loads one. `suffix` is an artefact's, `arithmetic` that of the matching twin, `targets` are
    the targets of the programs that it takes, and it is the default for those in `default_for`.

    `opening` is a file with `import_runtime()` and `ask_once(path, threads)` that imports no edgerift: a child process
    runs it before an unknown artefact is opened here. `runs_code` says that opening an artefact runs code in it.
    `translate` makes a differentiable module that computes as the runtime does from an artefact alone: from its input
    to one of its outputs, by default the first. `layers` reads the weights that an artefact's bytes hold, as they are
    stored. `read` reads an artefact, with the files beside it that it needs; by default it is one file. `open_read`
    loads what was read, so that the file is not read again.

    `embed_guard` puts a guard into an artefact's bytes, or takes it out, and `embedded_guard` reads it from the file; a
    runtime whose files have no place for it leaves both out.

    A runtime that has several sets of `kernels`, which answer differently to one file, is registered once for each, by
    the name of its kernels. All but its default ones give their files, in `files_of`, to the runtime that has those:
    they open a file if they are named, and `ask_once` gets the name of the kernels as a third argument.

    `use_threads` sets how many threads it computes with, whose answers are the same with any number; a process calls it
    before it opens anything.
    """

    packages: tuple[str, ...]
    extra: str
    suffix: str
    arithmetic: str
    targets: tuple[Target, ...]
    compile: Callable[[Program, Path], None]
    open: Callable[[Path], Engine]
    opening: Path
    default_for: tuple[Target, ...] = ()
    runs_code: bool = False
    missing: Callable[[], str | None] = _nothing_missing
    translate: Callable[[Path, str | None], TranslatedModule] | None = None
    kernels: str = ""
    files_of: str = ""
    layers: Callable[[bytes], tuple[StoredLayer, ...]] | None = None
    read: Callable[[Path], Artefact] = _one_file
    open_read: Callable[[Path, Artefact], Engine] | None = None
    embed_guard: Callable[[bytes, Guard | None], bytes] | None = None
    embedded_guard: Callable[[Path], Guard | None] = _no_guard
    use_threads: Callable[[int], None] | None = None


RUNTIMES: Final[Registry[Runtime]] = Registry("runtime", "edgerift.deploy.runtimes")


def find_runtime(name: str) -> Runtime:
    """Look a runtime up and check that it is installed.

    Raises :class:`~edgerift.errors.RecipeError` for an unknown name and
    :class:`~edgerift.errors.MissingRuntimeError` for one whose packages are missing.
    """
    chosen = RUNTIMES[name]
    if any(importlib.util.find_spec(package) is None for package in chosen.packages):
        raise MissingRuntimeError(f"runtime '{name}' is not installed: pip install 'edgerift[{chosen.extra}]'")
    return chosen


def default_runtime(target: Target) -> str:
    """Return the default runtime of a target's programs.

    >>> default_runtime("mobile")
    'executorch'
    """
    return next(name for name, runtime in RUNTIMES.items() if target in runtime.default_for)


def runtimes_for(target: Target) -> tuple[str, ...]:
    """Name the runtimes that take a target's programs.

    >>> runtimes_for("server")
    ('onnxruntime', 'inductor')
    """
    return tuple(name for name, runtime in RUNTIMES.items() if target in runtime.targets)


def suffixes() -> dict[str, str]:
    """Return the suffix of each runtime's files; a runtime that runs another one's with other kernels has none.

    >>> suffixes()["executorch"]
    '.pte'
    """
    return {name: runtime.suffix for name, runtime in RUNTIMES.items() if not runtime.files_of}


def with_kernels(runtime: str, kernels: str) -> str:
    """Name the runtime that runs the same files with another set of kernels.

    Raises :class:`~edgerift.errors.RecipeError` where the runtime has no such set.

    >>> with_kernels("litert", "reference")
    'litert-reference'
    """
    family = RUNTIMES[runtime].files_of or runtime
    known = {entry.kernels: name for name, entry in RUNTIMES.items() if (entry.files_of or name) == family}
    if not RUNTIMES[family].kernels:
        several = ", ".join(sorted({entry.files_of for entry in RUNTIMES.parts() if entry.files_of}))
        raise RecipeError(f"runtime '{runtime}' has one set of kernels; leave --kernels {kernels} out (for {several})")
    if kernels not in known:
        raise RecipeError(unknown_name(f"set of kernels of runtime '{family}'", kernels, known))
    return known[kernels]


def kernel_names() -> tuple[str, ...]:
    """Name the sets of kernels that some runtime has.

    >>> kernel_names()
    ('default', 'builtin', 'reference')
    """
    return tuple(dict.fromkeys(runtime.kernels for runtime in RUNTIMES.parts() if runtime.kernels))
