"""`edgerift adapt`: from an original to builds and their card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import PositiveFloat, PositiveInt

from edgerift import images, zoo
from edgerift.adapt import (
    AdaptRecipe,
    FinetuneRecipe,
    GivenOriginal,
    PtqSettings,
    QatSettings,
    given_original,
    ptq,
)
from edgerift.cli._options import DataOptions, Json, output_folder
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._train import OriginalOptions, class_count, copy_file, train_recipe
from edgerift.deploy import RUNTIMES, BuildRecipe, Program, Target, find_runtime, open_build
from edgerift.errors import ModelError, RecipeError
from edgerift.recipes import Progress, Settings
from edgerift.report import Card, card_text, make_card
from edgerift.store import Store, write_whole
from edgerift.train import TrainRecipe, TrainSettings


class AdaptOptions(Settings):
    """How to adapt the original."""

    method: Literal["ptq", "qat"] = "qat"
    """post-training quantization, or quantization-aware training"""
    target: Target = "mobile"
    """mobile (XNNPACK) or server (x86)"""
    adapt_epochs: PositiveInt = 3
    """epochs of quantization-aware training"""
    adapt_learning_rate: PositiveFloat = 0.001
    """the highest learning rate of quantization-aware training"""
    calibration_images: PositiveInt = 1024
    """training images that calibrate the activations' ranges"""
    control: bool = False
    """also train the original further in float, as long as qat does: DIR/control.safetensors"""


class Adapt(Settings):
    """Adapt an original to int8, build it for real runtimes and measure what changed.

    Writes DIR/original.safetensors, DIR/program.safetensors, a DIR/model.* for each runtime and DIR/card.json.
    """

    out: Path
    """the folder for the results"""
    runtime: tuple[Literal["executorch", "onnxruntime", "inductor"], ...] = ()
    """a runtime to build for; may be given several times; the target's own unless given"""
    original: Path | None = None
    """an original.safetensors to adapt; trained from the data unless given"""
    trust: bool = False
    """allow an original whose architecture is your own module:factory, which runs that module's code"""
    data: Annotated[DataOptions, tyro.conf.arg(name="")] = DataOptions()
    training: Annotated[OriginalOptions, tyro.conf.arg(name="")] = OriginalOptions()
    adapting: Annotated[AdaptOptions, tyro.conf.arg(name="")] = AdaptOptions()
    as_json: Json = False

    def run(self) -> int:
        """Make what is missing, write the files and show the card."""
        runtimes = self._runtimes()
        folder = output_folder(self.out)
        store = self.data.open_store()
        with progress_bars() as progress:
            recipe = self._recipe()
            # Everything is made before the first file is written, so that what fails leaves the folder as it was.
            artefacts = {name: self._artefact(name, recipe, store, progress) for name in runtimes}
            control = self._control(recipe, store, progress) if self.adapting.control else None
            original = copy_file(store.get(recipe.original) / "original.safetensors", folder / "original.safetensors")
            program = copy_file(store.get(recipe) / "program.safetensors", folder / "program.safetensors")
            builds = {
                name: open_build(copy_file(path, folder / path.name), name, trust=True)
                for name, path in artefacts.items()
            }
            if control is not None:
                copy_file(control, folder / "control.safetensors")
            card = make_card(
                zoo.load(original, trust=self.trust or self.original is None),
                Program.load(program),
                builds,
                images.open_splits(recipe.images).test,
                files={
                    "original": original,
                    "program": program,
                    **{name: build.path for name, build in builds.items()},
                },
                seed=self.training.seed,
                progress=progress,
            )
            write_whole(folder / "card.json", card.model_dump_json(indent=2) + "\n")
        show(card, card_text(card), self.as_json)
        return 0

    def _runtimes(self) -> tuple[str, ...]:
        target = self.adapting.target
        chosen = self.runtime or (("executorch",) if target == "mobile" else ("onnxruntime",))
        for name in chosen:
            if target not in find_runtime(name).targets:
                fitting = [other for other, entry in RUNTIMES.items() if target in entry.targets]
                raise RecipeError(f"runtime '{name}' does not take target '{target}'; choose {' or '.join(fitting)}")
        return tuple(dict.fromkeys(chosen))

    def _recipe(self) -> AdaptRecipe:
        described = self.data.images(self.training.seed)
        training: TrainRecipe | GivenOriginal
        if self.original is None:
            training = train_recipe(self.data, self.training)
            self._require_quantizable(training)
        else:
            training = given_original(self.original, trust=self.trust)
            _require_fit(zoo.load(self.original, trust=self.trust), described)
        options = self.adapting
        settings = QatSettings(
            calibration=PtqSettings(calibration_images=options.calibration_images, seed=self.training.seed),
            train=TrainSettings(
                epochs=options.adapt_epochs,
                learning_rate=options.adapt_learning_rate,
                batch_size=self.training.batch_size,
                device=self.training.device,
                seed=self.training.seed,
            ),
        )
        return AdaptRecipe(
            original=training,
            images=described,
            method=options.method,
            target=options.target,
            settings=settings,
        )

    def _require_quantizable(self, training: TrainRecipe) -> None:
        """Find out before the training, not after it, that the user's own network cannot be quantized."""
        if training.architecture.name not in zoo.names():
            few = images.open_splits(training.images).train
            ptq(zoo.from_architecture(training.architecture), few, target=self.adapting.target, calibration_images=1)

    def _artefact(self, name: str, recipe: AdaptRecipe, store: Store, progress: Progress) -> Path:
        building = BuildRecipe(program=recipe, runtime=name)
        return store.get(building, progress) / building.artefact

    def _control(self, recipe: AdaptRecipe, store: Store, progress: Progress) -> Path:
        control = FinetuneRecipe(original=recipe.original, images=recipe.images, settings=recipe.settings.train)
        return store.get(control, progress) / "original.safetensors"


def _require_fit(model: zoo.Classifier, described: images.ImagesSettings) -> None:
    """Make sure that an original was made for such images: as many classes, the same size."""
    zoo.check(model, class_count(described))
    if model.architecture.size != described.size:
        raise ModelError(
            f"model '{model.architecture.name}' was made for images of {model.architecture.size} pixels, "
            f"the images are brought to {described.size}; pass --size {model.architecture.size}"
        )


def measured_card(folder: Path, data: DataOptions, seed: int, trust: bool, progress: Progress) -> Card:
    """Measure the card of a folder that `edgerift adapt` wrote with this seed, anew."""
    original, program = folder / "original.safetensors", folder / "program.safetensors"
    found = {name: folder / f"model{entry.suffix}" for name, entry in RUNTIMES.items()}
    builds = {name: open_build(path, name, trust=trust) for name, path in found.items() if path.is_file()}
    if not builds:
        raise RecipeError(
            f"no model.pte, model.onnx or model.pt2 in {folder}; `edgerift adapt --out {folder}` makes them"
        )
    model = zoo.load(original, trust=trust)
    described = data.images(seed)
    _require_fit(model, described)
    return make_card(
        model,
        Program.load(program),
        builds,
        images.open_splits(described).test,
        files={"original": original, "program": program, **{name: found[name] for name in builds}},
        seed=seed,
        progress=progress,
    )
