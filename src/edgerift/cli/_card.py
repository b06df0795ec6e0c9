"""`edgerift card`: measure a pair of original and builds again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from pydantic import Field

from edgerift import adapt, deploy, images, report, steps
from edgerift.cli._adapt import measured_card
from edgerift.cli._adapted_files import read_card, seed_of
from edgerift.cli._build_options import BUILD_FILES, KernelsOption, runtime_of
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import DataOptions, Json
from edgerift.cli._pipeline import fitting
from edgerift.cli._specification import (
    BUILD_INPUT,
    INPUT,
    chosen_specification,
    described_original,
    require_build_understood,
)
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._train import OriginalOptions
from edgerift.errors import InputError
from edgerift.settings import Seed, is_file, is_folder


class CardCommand(Command):
    """Measure original and builds again, or a given pair.

    Tests the original, the program and every build of a folder of `edgerift adapt` on the test images of --data and
    writes FOLDER/card.json. It fails, and leaves that file, if a build or a stored weight is not the one that the card
    there was made of. With --original and --build these two are compared and no file is written.
    """

    example: ClassVar[str] = "edgerift card adapted --data cifar10"

    folder: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = None
    """a folder that `edgerift adapt --out` wrote"""
    original: Annotated[Path | None, Shown(group="model", metavar="FILE")] = None
    """float model, or weights of --model"""
    build: Annotated[
        Path | None, Shown(group="model", metavar="FILE", text=f"build of another tool: a {BUILD_FILES} file")
    ] = None
    build_input: Annotated[str | None, BUILD_INPUT] = None
    """what the build takes and answers, where its file does not say"""
    kernels: KernelsOption = None
    model: Annotated[str | None, Shown(group="model")] = None
    """architecture of the weights in --original"""
    input: Annotated[str | None, INPUT] = None
    """what --original takes and answers"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    seed: Annotated[Seed | None, Shown(group="data", default="that of FOLDER/card.json")] = None
    """seed of the train-test split, for image sets without test images of their own"""
    trust: Annotated[bool, Shown(group="model")] = False
    """allow models that run code when they are opened: Inductor packages, architectures from your own module:factory"""
    as_json: Json = False

    def run(self) -> int:
        """Measure, write the card and show it; returns 1 when the folder's files have changed since its card."""
        changed: tuple[str, ...] = ()
        with progress_bars() as progress:
            if self.folder is None:
                card = self._of_files(progress)
            else:
                card, changed = self._of_folder(self.folder, progress)
        show(card, report.card_text(card), self.as_json)
        return 1 if changed else 0

    def _of_folder(self, folder: Path, progress: steps.Progress) -> tuple[report.Card, tuple[str, ...]]:
        if not is_folder(folder):
            raise InputError(f"no folder {folder}; give one that `edgerift adapt --out` wrote")
        if self.kernels is not None:
            raise InputError("a folder's builds run with their default kernels; --kernels is for --build")
        if self.original is not None or self.build is not None:
            raise InputError("a folder has an original and builds of its own; leave out --original and --build")
        seed = self.seed if self.seed is not None else seed_of(folder / "card.json")
        card, path = measured_card(folder, self.data, seed, self.trust, progress), folder / "card.json"
        before = read_card(path, "delete it, and it is written again") if is_file(path) else card
        changed = tuple(report.changed_since(before, card))
        if changed:
            return card.replace(mismatches=(*card.mismatches, *changed)), changed
        steps.write_whole(path, card.model_dump_json(indent=2) + "\n")
        return card, ()

    def _of_files(self, progress: steps.Progress) -> report.Card:
        if self.original is None or self.build is None:
            raise InputError("give a folder that `edgerift adapt --out` wrote, or both --original and --build")
        seed = 0 if self.seed is None else self.seed
        described = self.data.images(seed)
        given = described_original(
            self.original, OriginalOptions(model=self.model, input=self.input), described, self.trust
        )
        told = chosen_specification(self.build_input, self.build)
        build = deploy.open_build(
            self.build, runtime_of(None, self.kernels, self.build), trust=self.trust, specification=told
        )
        model = adapt.load_original(given)
        described = fitting(model, described, file=self.original)
        require_build_understood(build, described)
        return report.make_card(
            model,
            None,
            {build.runtime: build},
            images.open_splits(described).test,
            files={"original": self.original, build.runtime: self.build},
            seed=seed,
            progress=progress,
        )
