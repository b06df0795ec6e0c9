"""From the options of the command line to the recipes of a pair: what `adapt` and `audit` share."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from edgerift import images, zoo
from edgerift.adapt import AdaptRecipe, FinetuneRecipe, GivenOriginal, PtqSettings, QatSettings, given_original, ptq
from edgerift.cli._options import DataOptions
from edgerift.cli._train import OriginalOptions, class_count, train_recipe
from edgerift.deploy import RUNTIMES, Target, find_runtime
from edgerift.errors import ModelError, RecipeError
from edgerift.recipes import Settings
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


def chosen_runtimes(target: Target, named: tuple[str, ...]) -> tuple[str, ...]:
    """Choose the runtimes that were named, or the target's own; raises `RecipeError` for one that does not fit."""
    chosen = named or (("executorch",) if target == "mobile" else ("onnxruntime",))
    for name in chosen:
        if target not in find_runtime(name).targets:
            fitting = [other for other, entry in RUNTIMES.items() if target in entry.targets]
            raise RecipeError(f"runtime '{name}' does not take target '{target}'; choose {' or '.join(fitting)}")
    return tuple(dict.fromkeys(chosen))


def adapt_recipe(
    data: DataOptions, training: OriginalOptions, adapting: AdaptOptions, original: Path | None, trust: bool
) -> AdaptRecipe:
    """Turn the options into the recipe of a program, from the original given or from one trained for it."""
    described = data.images(training.seed)
    source: TrainRecipe | GivenOriginal
    if original is None:
        source = train_recipe(data, training)
        _require_quantizable(source, adapting.target)
    else:
        source = given_original(original, trust=trust)
        require_fit(zoo.load(original, trust=trust), described)
    settings = QatSettings(
        calibration=PtqSettings(calibration_images=adapting.calibration_images, seed=training.seed),
        train=TrainSettings(
            epochs=adapting.adapt_epochs,
            learning_rate=adapting.adapt_learning_rate,
            batch_size=training.batch_size,
            device=training.device,
            seed=training.seed,
        ),
    )
    return AdaptRecipe(
        original=source,
        images=described,
        method=adapting.method,
        target=adapting.target,
        settings=settings,
    )


def control_recipe(recipe: AdaptRecipe) -> FinetuneRecipe:
    """Describe the float control: the original trained further, as long as qat does."""
    return FinetuneRecipe(original=recipe.original, images=recipe.images, settings=recipe.settings.train)


def _require_quantizable(training: TrainRecipe, target: Target) -> None:
    """Find out before the training, not after it, that the user's own network cannot be quantized."""
    if training.architecture.name not in zoo.names():
        few = images.open_splits(training.images).train
        ptq(zoo.from_architecture(training.architecture), few, target=target, calibration_images=1)


def require_fit(model: zoo.Classifier, described: images.ImagesSettings) -> None:
    """Make sure that an original was made for such images: as many classes, the same size."""
    zoo.check(model, class_count(described))
    if model.architecture.size != described.size:
        raise ModelError(
            f"model '{model.architecture.name}' was made for images of {model.architecture.size} pixels, "
            f"the images are brought to {described.size}; pass --size {model.architecture.size}"
        )
