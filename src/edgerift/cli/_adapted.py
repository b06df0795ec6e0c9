"""A folder of `edgerift adapt` and the images that it is measured on: what `certify`, `differ` and `flips` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import tyro
from pydantic import Field

from edgerift import adapt, deploy, evade, images
from edgerift.cli._adapted_files import seed_of
from edgerift.cli._build_options import RUNTIME_NAMES
from edgerift.cli._fields import Shown
from edgerift.cli._options import DataOptions
from edgerift.cli._pipeline import fitting, shipped_build
from edgerift.deploy import RuntimeName
from edgerift.settings import Count, Seed, Settings, is_folder


class Adapted(NamedTuple):
    """What is in a folder of `edgerift adapt`, and the images of its classes."""

    original: adapt.GivenOriginal
    program: deploy.GivenProgram
    build: deploy.BuildRecipe | deploy.GivenBuild
    images: images.ImagesSettings

    @property
    def pair(self) -> evade.PairSettings:
        """The original and its build."""
        return evade.PairSettings(original=self.original, program=self.program, build=self.build)


class AdaptedOptions(Settings):
    """A folder of `edgerift adapt`, and test images."""

    adapted: Annotated[Path, Shown(group="model", metavar="DIR")]
    """folder that `edgerift adapt --out` wrote, or its program.safetensors"""
    runtime: Annotated[
        RuntimeName | None,
        Shown(group="model", metavar="NAME", default="that of DIR's build", text=f"runtime: {RUNTIME_NAMES}"),
    ] = None
    trust: Annotated[bool, Shown(group="model", advanced=True)] = False
    """allow models that run code when they are opened: Inductor packages, architectures from your own module:factory"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    count: Annotated[Count | None, Shown(group="data", default="all")] = None
    """number of images that measure, from the first"""
    split_seed: Annotated[Seed | None, Shown(group="data", advanced=True, default="that of DIR/card.json")] = None
    """seed of the train-test split, for image sets without test images of their own"""

    def find(self) -> Adapted:
        """Describe what is in the folder; raises what :func:`find_adapted` does."""
        path = self.adapted / "program.safetensors" if is_folder(self.adapted) else self.adapted
        return find_adapted(path, self.data, self.split_seed, runtime=self.runtime, trust=self.trust)


def find_adapted(
    program_path: Path,
    data: DataOptions,
    seed: int | None,
    *,
    runtime: str | None,
    trust: bool,
    build: Path | None = None,
) -> Adapted:
    """Describe a program, what lies beside it, and the images that fit; `seed` is that of the card by default.

    Raises an :class:`~edgerift.errors.EdgeriftError` for files that are missing, or that do not belong together.
    """
    program = deploy.given_program(program_path)
    shipped = shipped_build(program_path.parent, program, build, runtime, trust=trust)
    original_path = program_path.with_name("original.safetensors")
    original = adapt.given_original(original_path, trust=trust)
    chosen = seed_of(program_path.with_name("card.json"), "--split-seed") if seed is None else seed
    classes = deploy.Program.load(program_path).provenance.classes
    described = fitting(adapt.load_original(original), data.images(chosen), classes, file=original_path)
    return Adapted(original, program, shipped, described)
