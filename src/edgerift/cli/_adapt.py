"""`edgerift adapt`: from an original to builds and their card."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from pydantic import Field
from rich.console import Group
from rich.text import Text

from edgerift import adapt, defend, deploy, images, report, steps, verify, zoo
from edgerift.cli._adapted_files import COMPRESSED, STATEMENT
from edgerift.cli._build_options import RUNTIME_NAMES
from edgerift.cli._fields import Command, Shown
from edgerift.cli._guard import chosen_guard
from edgerift.cli._options import OUT, DataOptions, Json, output_folder
from edgerift.cli._pipeline import (
    OWN_RUNTIME,
    AdaptOptions,
    adapt_recipe,
    chosen_runtimes,
    control_recipe,
    fitting,
)
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._train import OriginalOptions, copy_file
from edgerift.deploy import RuntimeName
from edgerift.errors import RecipeError
from edgerift.settings import is_file


class Adapt(Command):
    """Quantize a model to int8 and build it for edge runtimes.

    Trains the original first unless --original names one, and measures what quantization changed. Writes
    DIR/original.safetensors, DIR/program.safetensors, one DIR/model.* per runtime, DIR/card.json, DIR/recipe.json,
    and DIR/compressed.safetensors where the original is pruned or distilled first.
    """

    example: ClassVar[str] = "edgerift adapt --data cifar10 --model resnet18 --runtime executorch --out adapted"

    out: Annotated[Path, OUT]
    """folder for the results"""
    original: Annotated[Path | None, Shown(group="model", metavar="FILE", default="train one")] = None
    """float model, or weights of --model"""
    trust: Annotated[bool, Shown(group="model", advanced=True)] = False
    """allow an original whose architecture is your own module:factory, which runs that module's code"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    training: Annotated[OriginalOptions, tyro.conf.arg(name=""), Shown(group="training")] = Field(
        default_factory=OriginalOptions
    )
    runtime: Annotated[
        tuple[RuntimeName, ...],
        Shown(
            group="quantization",
            metavar="NAME",
            default=OWN_RUNTIME,
            text=f"runtime to build for: {RUNTIME_NAMES}; repeatable",
        ),
    ] = ()
    adapting: Annotated[AdaptOptions, tyro.conf.arg(name=""), Shown(group="quantization")] = Field(
        default_factory=AdaptOptions
    )
    guard: Annotated[str | None, Shown(group="quantization", advanced=True, metavar="SHARE", default="no guard")] = None
    """calibrate each build to answer this share of the validation images and abstain from the rest:
    DIR/model.*.guard.json"""
    control: Annotated[bool, Shown(group="quantization", advanced=True)] = False
    """also fine-tune the original in float for as many epochs as qat, as a control: DIR/control.safetensors"""
    statement: Annotated[bool, Shown(group="quantization", advanced=True)] = False
    """also state where the builds come from, as in-toto with SLSA provenance, in a DSSE envelope: DIR/statement.json"""
    sign_with: Annotated[Path | None, Shown(group="quantization", advanced=True, metavar="FILE")] = None
    """private Ed25519 key (PEM) that signs the statement"""
    as_json: Json = False

    def run(self) -> int:
        """Make what is missing, write the files and show the card."""
        runtimes = chosen_runtimes(self.adapting.target, self.runtime)
        store = self.data.open_store()
        with output_folder(self.out) as folder, progress_bars() as progress:
            described = self.data.images(self.training.seed)
            recipe = adapt_recipe(described, self.training, self.adapting, self.original, self.trust)
            # Everything is made before the first file is written, so that what fails leaves the folder as it was.
            artefacts = {name: self._artefact(name, recipe, store, progress) for name in runtimes}
            guards = {name: self._guard(name, recipe, store, progress) for name in runtimes}
            compressed = None if recipe.compressing is None else store.get(recipe.compressing, progress)
            control = store.get(control_recipe(recipe), progress) if self.control else None
            original = copy_file(store.get(recipe.original) / "original.safetensors", folder / "original.safetensors")
            program = copy_file(store.get(recipe) / "program.safetensors", folder / "program.safetensors")
            for name, path in artefacts.items():
                deploy.ship_guard(guards[name], name, copy_file(path, folder / path.name))
            builds = {name: deploy.open_build(folder / path.name, name, trust=True) for name, path in artefacts.items()}
            if compressed is None:
                (folder / COMPRESSED).unlink(missing_ok=True)
            else:
                copy_file(compressed / "original.safetensors", folder / COMPRESSED)
            if control is not None:
                copy_file(control / "original.safetensors", folder / "control.safetensors")
            card = report.make_card(
                zoo.load(original, trust=self.trust or self.original is None),
                deploy.Program.load(program),
                builds,
                images.open_splits(recipe.images).test,
                files={
                    "original": original,
                    "program": program,
                    **{name: build.path for name, build in builds.items()},
                },
                compressed=compressed_model(folder, trust=self.trust or self.original is None),
                seed=self.training.seed,
                progress=progress,
            )
            steps.write_whole(folder / "card.json", card.model_dump_json(indent=2) + "\n")
            steps.write_whole(folder / "recipe.json", recipe.canonical_json() + "\n")
            if self.statement or self.sign_with is not None:
                files = [program, *(build.path for build in builds.values())]
                steps.write_whole(folder / STATEMENT, self._stated(recipe, original, files))
        stale = [Text(line) for line in _earlier_builds(folder, builds)]
        show(card, Group(report.card_text(card), *stale), self.as_json)
        return 0

    def _stated(self, recipe: adapt.AdaptRecipe, original: Path, files: list[Path]) -> str:
        """State that the files were made of an original by a recipe, which names the images."""
        materials = {original.name: verify.file_digest(original)}
        parameters = {"recipe": json.loads(recipe.canonical_json())}
        return verify.write_statement(files, materials, parameters, self.sign_with)

    def _guard(
        self, name: str, recipe: adapt.AdaptRecipe, store: steps.Store, progress: steps.Progress
    ) -> defend.Guard | None:
        if self.guard is None:
            return None
        made = chosen_guard(self.guard, deploy.BuildRecipe(program=recipe, runtime=name), recipe.images)
        return made.open(store, progress) if isinstance(made, defend.GuardRecipe) else made

    def _artefact(self, name: str, recipe: adapt.AdaptRecipe, store: steps.Store, progress: steps.Progress) -> Path:
        building = deploy.BuildRecipe(program=recipe, runtime=name)
        return store.get(building, progress) / building.artefact


def _earlier_builds(folder: Path, made: Collection[str]) -> Iterator[str]:
    """Say which builds in a folder were there before and so may be of another program."""
    written = {deploy.RUNTIMES[name].suffix for name in made}
    for name, suffix in deploy.suffixes().items():
        path = folder / f"model{suffix}"
        if suffix not in written and path.is_file():
            yield f"{path} is from an earlier run, maybe of another program; pass --runtime {name} too, or remove it."


def compressed_model(folder: Path, *, trust: bool) -> zoo.Classifier | None:
    """Open the pruned or distilled model of a folder that `edgerift adapt` wrote, where there is one."""
    path = folder / COMPRESSED
    return zoo.load(path, trust=trust) if is_file(path) else None


def measured_card(folder: Path, data: DataOptions, seed: int, trust: bool, progress: steps.Progress) -> report.Card:
    """Measure the card of a folder that `edgerift adapt` wrote with this seed, anew."""
    original, program = folder / "original.safetensors", folder / "program.safetensors"
    found = {name: folder / f"model{suffix}" for name, suffix in deploy.suffixes().items()}
    builds = {name: deploy.open_build(path, name, trust=trust) for name, path in found.items() if is_file(path)}
    if not builds:
        *others, last = (path.name for path in found.values())
        raise RecipeError(f"no {', '.join(others)} or {last} in {folder}; `edgerift adapt --out {folder}` makes them")
    model = zoo.load(original, trust=trust)
    described = fitting(model, data.images(seed), file=original)
    return report.make_card(
        model,
        deploy.Program.load(program),
        builds,
        images.open_splits(described).test,
        files={"original": original, "program": program, **{name: found[name] for name in builds}},
        compressed=compressed_model(folder, trust=trust),
        seed=seed,
        progress=progress,
    )
