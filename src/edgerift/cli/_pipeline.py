"""From the options of the command line to the recipes of a pair: what the verbs that adapt share."""

from __future__ import annotations

import warnings
from abc import ABC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeAlias, final, get_args

import tyro
from pydantic import Field

from edgerift import adapt, deploy, images, train, zoo
from edgerift.adapt import QUANTIZED, QuantizedName
from edgerift.cli._adapted_files import COMPRESSED, RECIPE, read_recipe
from edgerift.cli._compress import CompressOptions, chosen_compression
from edgerift.cli._fields import Shown
from edgerift.cli._specification import described_original, require_understood
from edgerift.cli._train import OriginalOptions, train_recipe
from edgerift.deploy import Target, default_runtime
from edgerift.errors import ImagesWarning, ModelError, RecipeError
from edgerift.settings import Count, LearningRate, Settings, Times, is_file

if TYPE_CHECKING:
    Control: TypeAlias = adapt.FinetuneRecipe | adapt.CompressRecipe | adapt.GivenOriginal

#: How the help tells the default of `--runtime`.
OWN_RUNTIME: Final = ", ".join(f"{default_runtime(target)} for {target}" for target in get_args(Target))


class QuantizeOptions(Settings, ABC):
    """What every adaptation is told."""

    target: Target = "mobile"
    """int8 scheme: XNNPACK (mobile) or x86"""
    adapt_epochs: Times = 3
    """epochs of quantization-aware training"""
    adapt_learning_rate: Annotated[LearningRate, Shown(advanced=True)] = 0.001
    """peak learning rate of quantization-aware training"""
    batch_norm: Annotated[Literal["frozen", "alive"], Shown(advanced=True)] = "frozen"
    """batch normalisation in that training: folded into the layers before it, or alive as in PyTorch's own"""
    calibration_images: Annotated[Count, Shown(advanced=True)] = 1024
    """training images used to calibrate activation ranges"""


@final
class AdaptOptions(QuantizeOptions):
    """How to adapt the original."""

    method: Annotated[QuantizedName, Shown(metavar="NAME", details=f"Names: {', '.join(QUANTIZED)}")] = "qat"
    """quantize after (ptq) or during training"""
    compressing: Annotated[CompressOptions, tyro.conf.arg(name=""), Shown(group="compression", advanced=True)] = Field(
        default_factory=CompressOptions
    )


def chosen_runtimes(target: Target, named: tuple[str, ...]) -> tuple[str, ...]:
    """Choose the runtimes that were named, or the target's own; raises `RecipeError` for one that does not fit."""
    chosen = named or (default_runtime(target),)
    for name in chosen:
        if target not in deploy.find_runtime(name).targets:
            fitting = " or ".join(deploy.runtimes_for(target))
            raise RecipeError(f"runtime '{name}' does not take target '{target}'; choose {fitting}")
    return tuple(dict.fromkeys(chosen))


class Source(NamedTuple):
    """An original, and the images as it knows their classes."""

    original: train.TrainRecipe | adapt.GivenOriginal
    images: images.ImagesSettings


def adapt_recipe(
    described: images.ImagesSettings,
    training: OriginalOptions,
    adapting: AdaptOptions,
    original: Path | None,
    trust: bool,
) -> adapt.AdaptRecipe:
    """Turn the options into the recipe of a program, from the original given or from one trained for it."""
    source = find_source(described, training, original, trust, adapting.target)
    made = adapt.adaptation(adapting.method)
    assert made.method is not None
    return adapt.AdaptRecipe(
        original=source.original,
        images=source.images,
        method=made.method,
        target=adapting.target,
        settings=qat_settings(training, adapting),
        compression=chosen_compression(made.compression, adapting.compressing, training, source.images),
    )


def find_source(
    described: images.ImagesSettings,
    training: OriginalOptions,
    original: Path | None,
    trust: bool,
    target: Target | None,
) -> Source:
    """Turn the options into an original, the one given or one trained; without a target it need not be quantizable."""
    if original is not None:
        given = described_original(original, training, described, trust)
        model = adapt.load_original(given)
        described = fitting(model, described, file=original)
        require_understood(model, described)
        return Source(given, described)
    trained = train_recipe(described, training)
    if target is not None:
        _require_quantizable(trained, target)
    return Source(trained, described)


def qat_settings(training: OriginalOptions, adapting: QuantizeOptions) -> adapt.QatSettings:
    """Turn the options into the settings of an adaptation."""
    return adapt.QatSettings(
        calibration=adapt.PtqSettings(calibration_images=adapting.calibration_images, seed=training.seed),
        train=train.TrainSettings(
            epochs=adapting.adapt_epochs,
            learning_rate=adapting.adapt_learning_rate,
            batch_size=training.further_batch_size,
            device=training.device,
            seed=training.seed,
        ),
        batch_norm=adapting.batch_norm,
    )


def control_recipe(recipe: adapt.AdaptRecipe) -> Control:
    """Describe the float control: the original trained further as long as qat does, or the model that was quantized."""
    if recipe.compressing is not None:
        return recipe.compressing
    return adapt.FinetuneRecipe(original=recipe.original, images=recipe.images, settings=recipe.settings.train)


def given_control(
    program: Path,
    original: adapt.GivenOriginal,
    described: images.ImagesSettings,
    training: OriginalOptions,
    adapting: QuantizeOptions,
) -> Control:
    """Describe the float control of a program's folder: the model that was quantized, or the original trained further.

    Raises `ModelError` where the folder lacks the compressed model that its recipe names.
    """
    compressed, recipe = program.with_name(COMPRESSED), program.with_name(RECIPE)
    if is_file(compressed):
        return adapt.given_original(compressed, trust=original.trust)
    if is_file(recipe) and read_recipe(recipe).compressing is not None:
        raise ModelError(
            f"no {compressed}, the control of a compressed build; leave out --control yes, or adapt the original again"
        )
    settings = qat_settings(training, adapting).train
    return adapt.FinetuneRecipe(original=original, images=described, settings=settings)


def _require_quantizable(training: train.TrainRecipe, target: Target) -> None:
    """Find out before the training, not after it, that the user's own network cannot be quantized."""
    if training.architecture.name not in zoo.names():
        few = images.open_splits(training.images).train
        adapt.ptq(zoo.from_architecture(training.architecture), few, target=target, calibration_images=1)


def fitting(
    model: zoo.Classifier, described: images.ImagesSettings, classes: tuple[str, ...] = (), *, file: Path
) -> images.ImagesSettings:
    """Make sure that an original was made for such images: as many classes, in the same order, the same size.

    The same classes in another order are brought into the original's, or into that of `classes` where it names none.
    Messages name an original that came as a network of a `file` by that.
    """
    whose = f"model '{file.name if model.architecture.name in zoo.FILE_KINDS else model.architecture.name}'"
    described = in_order(adapt.known_classes(model) or classes, described)
    train = images.open_splits(described).train
    _require_classes(model, whose, len(train.classes))
    zoo.check_classes(adapt.known_classes(model), train.classes, train.name)
    taken, given = model.architecture.shape, train.shape
    if taken.size != given.size:
        raise ModelError(
            f"{whose} was made for images of {images.size_text(taken.size)} pixels, "
            f"the images are resized to {images.size_text(given.size)}; pass --size {images.size_text(taken.size)}"
        )
    if given.channels > taken.channels:
        raise ModelError(
            f"{whose} takes greyscale images, and those of {train.name} are in colour; "
            "convert them to greyscale files, as its pipeline does"
        )
    return described


def _require_classes(model: zoo.Classifier, whose: str, classes: int) -> None:
    given, own = model.architecture.specification, model.architecture.classes
    if given is not None and given.output.background is None and own == classes + 1:
        raise ModelError(
            f"{whose} has {own} classes, the data has {classes}; if one of them is a background, say so: "
            "--input background=first, or last"
        )
    if given is not None and own != classes:
        raise ModelError(f"{whose} has {own} classes, the data has {classes}; give the --data that it was made for")
    zoo.check(model, classes)


def in_order(known: tuple[str, ...], described: images.ImagesSettings) -> images.ImagesSettings:
    """Bring the classes of images into the order in which a model knows them, by their names, and say so.

    Images whose classes are not the same ones stay as they are.
    """
    given = images.class_names(described)
    if known == given or sorted(known) != sorted(given) or len(set(known)) < len(known):
        return described
    moved = [name for name, other in zip(known, given, strict=True) if name != other]
    warnings.warn(
        f"the classes of '{described.source}' are reordered by name to match the model: {len(moved)} of "
        f"{len(known)} differ, {moved[0]!r} is number {known.index(moved[0])} and not {given.index(moved[0])}",
        ImagesWarning,
        stacklevel=2,
    )
    return described.replace(classes=known)


def network_name(original: train.TrainRecipe | adapt.GivenOriginal) -> str:
    """Name the network of an original; "" for one that came as a file and cannot be made by its name."""
    if isinstance(original, train.TrainRecipe):
        return original.architecture.name
    name = adapt.load_original(original).architecture.name if original.model is None else original.model
    return "" if name in zoo.FILE_KINDS else name


def shipped_build(
    adapted: Path, program: deploy.GivenProgram, build: Path | None, runtime: str | None, *, trust: bool
) -> deploy.BuildRecipe | deploy.GivenBuild:
    """Take the build that ships: the one named, the one in the folder, or one compiled from the program."""
    target = deploy.Program.load(program.path).target
    if build is not None:
        given = deploy.given_build(build, runtime, trust=trust)
        chosen_runtimes(target, (given.runtime,))
        return given
    named: tuple[str, ...] = (runtime,) if runtime else ()
    fitting = {
        name: adapted / f"model{entry.suffix}" for name, entry in deploy.RUNTIMES.items() if target in entry.targets
    }
    beside = [name for name in deploy.suffixes() if name in fitting and is_file(fitting[name])]
    (chosen,) = chosen_runtimes(target, named or (tuple(beside) if len(beside) == 1 else ()))
    if is_file(fitting[chosen]):
        return deploy.given_build(fitting[chosen], chosen, trust=trust)
    return deploy.BuildRecipe.model_validate({"program": program, "runtime": chosen})
