"""Building as a step that the store keeps, and programs and builds given as files."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import torch
from pydantic import Field, SerializeAsAny
from torch import Tensor

from edgerift.deploy.builds._build import build, open_build
from edgerift.deploy.builds._digest import artefact_digest, whole_artefact
from edgerift.deploy.builds._guarded import write_guard
from edgerift.deploy.builds._names import RuntimeName
from edgerift.deploy.builds._opened import LARGEST_BATCH, OpenedBuild
from edgerift.deploy.builds._runtime import RUNTIMES, find_runtime
from edgerift.deploy.program._program import Program
from edgerift.errors import BuildError, EdgeriftError, ImagesWarning, ProgramError
from edgerift.images import ImagesSettings, open_splits
from edgerift.settings import LARGEST_MODEL, Document, is_none
from edgerift.specification import Guard, Specification
from edgerift.steps import Progress, Recipe, write_whole

if TYPE_CHECKING:
    from edgerift.steps import Store


PROGRAM: Final = "program.safetensors"


class BuildRecipe(Recipe):
    """Compile a program for one runtime: `model.pte`, `model.onnx` or `model.pt2`.

    `program` is the recipe whose result holds `program.safetensors`.
    """

    type: Literal["build"] = "build"
    version: Literal[2] = 2
    program: SerializeAsAny[Recipe]
    runtime: RuntimeName

    @property
    def artefact(self) -> str:
        """The name of the file that the build is."""
        return f"model{RUNTIMES[self.runtime].suffix}"

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Compile the program into `folder`."""
        find_runtime(self.runtime)
        program = Program.load(store.get(self.program, progress) / PROGRAM)
        progress(f"build {self.runtime}", 0, 1)
        build(program, self.runtime, folder / self.artefact, images=_training_images(self.program))
        progress(f"build {self.runtime}", 1, 1)


def _training_images(program: Recipe) -> Tensor | None:
    """Draw some of the images that a program was adapted on, if its recipe names them, to compare the build on.

    If they cannot be read, a warning is given and there are none: the finished program does not need them.
    """
    settings = getattr(program, "images", None)
    if not isinstance(settings, ImagesSettings):
        return None
    try:
        images = open_splits(settings).train.images
    except EdgeriftError as error:
        warnings.warn(f"the build was compared on generated images, not on training images: {error}", ImagesWarning, 2)
        return None
    generator = torch.Generator().manual_seed(settings.seed)
    return images[torch.randperm(len(images), generator=generator)[:LARGEST_BATCH]]


class GivenProgram(Recipe):
    """A program given as a file, identified by the SHA-256 of its bytes; its location does not matter.

    A recipe that was read from its JSON has no `path`, and is of use where the store has the file.
    """

    type: Literal["given-program"] = "given-program"
    version: Literal[1] = 1
    sha256: str
    path: Path = Field(default=Path(), validate_default=False, exclude=True)

    def named_files(self) -> Mapping[str, str]:
        """Name the program's own digest."""
        return {PROGRAM: self.sha256}

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Copy the file; raises :class:`~edgerift.errors.ProgramError` when its content has changed."""
        _copy(self.path, self.sha256, folder / PROGRAM, ProgramError)


def _is_default(specification: Specification) -> bool:
    return specification.is_default


class GivenBuild(Recipe):
    """A build given as a file, identified by its runtime and the SHA-256 of its bytes.

    An ONNX model with external weight files is identified and kept as one file with all of them. `specification` says
    how a model of another tool wants its images and what it answers, where its file does not; `guard` is the one
    beside the file. A recipe that was read from its JSON has no `path`, and is of use where the store has the file.
    `trust` allows an Inductor package, which is machine code.
    """

    type: Literal["given-build"] = "given-build"
    version: Literal[1] = 1
    runtime: RuntimeName
    sha256: str
    specification: Specification = Field(default=Specification(), exclude_if=_is_default)
    guard: Guard | None = Field(default=None, exclude_if=is_none)
    path: Path = Field(default=Path(), validate_default=False, exclude=True)
    trust: bool = Field(default=False, exclude=True)

    @property
    def artefact(self) -> str:
        """The name of the file that the build is."""
        return f"model{RUNTIMES[self.runtime].suffix}"

    def named_files(self) -> Mapping[str, str]:
        """Name the build's own digest."""
        return {self.artefact: self.sha256}

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Copy the file; raises :class:`~edgerift.errors.BuildError` when its content has changed."""
        content = whole_artefact(self.runtime, self.path)
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise BuildError(f"{self.path} has changed since it was named; start again with the present file")
        write_whole(folder / self.artefact, content)
        write_guard(self.guard, self.runtime, folder / self.artefact)


def given_program(path: Path) -> GivenProgram:
    """Describe a program's file; raises :class:`~edgerift.errors.ProgramError` when it is missing or not a program."""
    Program.load(path)
    return GivenProgram(sha256=_digest(path, ProgramError), path=path)


def given_build(
    path: Path, runtime: str | None = None, *, trust: bool = False, specification: Specification | None = None
) -> GivenBuild:
    """Describe a build's file; raises :class:`~edgerift.errors.BuildError` when it is missing or of no known kind."""
    opened = open_build(path, runtime, trust=trust, specification=specification)
    return GivenBuild.model_validate(
        {
            "runtime": opened.runtime,
            "sha256": artefact_digest(opened.runtime, path),
            "specification": specification or Specification(),
            "guard": opened.guard,
            "path": path,
            "trust": trust,
        }
    )


def opened_build(recipe: BuildRecipe | GivenBuild, store: Store, progress: Progress) -> OpenedBuild:
    """Open what a recipe describes, made when missing; a build that was compiled here is trusted."""
    artefact = store.get(recipe, progress) / recipe.artefact
    if isinstance(recipe, BuildRecipe):
        return open_build(artefact, recipe.runtime, trust=True)
    opened = open_build(artefact, recipe.runtime, trust=recipe.trust, specification=recipe.specification)
    # The user knows the file by its own name, not by that of its copy.
    return opened.called(recipe.path.name or artefact.name)


def _digest(path: Path, error: type[EdgeriftError]) -> str:
    return hashlib.sha256(_content(path, error)).hexdigest()


def _content(path: Path, error: type[EdgeriftError]) -> bytes:
    return Document(path, "file", "give the path of the file", error, LARGEST_MODEL).content()


def _copy(path: Path, sha256: str, target: Path, error: type[EdgeriftError]) -> None:
    content = _content(path, error)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise error(f"{path} has changed since it was named; start again with the present file")
    write_whole(target, content)
