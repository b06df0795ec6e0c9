"""`edgerift train`: an original from images."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

import tyro
from pydantic import Field

from edgerift import deploy, images, measure, steps, train, zoo
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import OUT, DataOptions, Json, number, output_folder
from edgerift.cli._specification import INPUT
from edgerift.cli._terminal import progress_bars, show
from edgerift.errors import InputError
from edgerift.settings import BatchSize, LearningRate, Seed, Settings, Times
from edgerift.train import ADVERSARIES

DEFAULT_MODEL: Final = "resnet8"


class Schedule(NamedTuple):
    """The epochs, the peak learning rate and the images per step of an original's training."""

    epochs: int = 20
    learning_rate: float = 0.1
    batch_size: int = 128


#: Digits are a thousand images: they need more epochs, and take seconds.
_SCHEDULES: Final = {"digits": Schedule(epochs=30)}
#: The network of the demo learns them in fewer. A network without batch normalisation learns nothing at this rate.
_SHORT: Final = {("digits", DEFAULT_MODEL): Schedule(epochs=15, learning_rate=0.2, batch_size=64)}
#: At the usual rate a LeNet, which has no batch normalisation, learns nothing from some initial weights.
_RATES: Final = {"lenet": 0.05}
_RATE: Final = "0.1; 0.05 for lenet, 0.2 for resnet8 on digits"


class OriginalOptions(Settings):
    """How to train the original."""

    model: Annotated[
        str | None,
        Shown(
            text="architecture, or module:factory for one of your own",
            details=f"Names: {', '.join(zoo.names())}, torchvision:NAME, timm:NAME",
            default=DEFAULT_MODEL,
        ),
    ] = None
    input: Annotated[str | None, INPUT] = None
    """what --original takes and answers"""
    stem: Annotated[Literal["small", "imagenet"], Shown(advanced=True)] = "small"
    """first layers: for small images, or those for ImageNet"""
    channels: Annotated[Literal[1, 3], Shown(advanced=True)] = 3
    """input channels of the network: 3 takes greyscale images too, 1 takes nothing else"""
    pretrained: Annotated[bool, Shown(advanced=True)] = False
    """download ImageNet weights (needs --stem imagenet)"""
    epochs: Annotated[Times | None, Shown(default="20; 15 or 30 for digits")] = None
    """training epochs"""
    learning_rate: Annotated[LearningRate | None, Shown(advanced=True, default=_RATE)] = None
    """peak learning rate of the cosine schedule"""
    batch_size: Annotated[BatchSize | None, Shown(advanced=True, default="128; 64 for resnet8 on digits")] = None
    """images per step"""
    precision: Annotated[Literal["auto", "float32", "bfloat16"], Shown(advanced=True)] = "auto"
    """precision of training; auto is bfloat16 on a CPU that has it in hardware, else float32"""
    compile: Annotated[bool, Shown(advanced=True)] = False
    """train with torch.compile (needs a C++ compiler)"""
    adversary: Annotated[
        str | None,
        Shown(advanced=True, metavar="NAME[:EPSILON]", text=f"adversarial training: {', '.join(ADVERSARIES)}"),
    ] = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """device for all training"""
    seed: Annotated[Seed, Shown(details="It sets initialisation, shuffling, augmentation and splits")] = 0
    """seed of all random numbers"""

    @property
    def architecture(self) -> str:
        """The architecture of what is trained."""
        return DEFAULT_MODEL if self.model is None else self.model

    @property
    def further_batch_size(self) -> int:
        """The images per step of all training but that of an original."""
        return Schedule().batch_size if self.batch_size is None else self.batch_size

    def of_student(self, student: str, source: str, temperature: float) -> Schedule:
        """Choose how a network that learns an original's answers is trained on an image source.

        The gradient of its loss is up to `temperature` times that of an original's, and its steps as much smaller.
        """
        usual = _SCHEDULES.get(source, Schedule())
        rate = _RATES.get(student, usual.learning_rate) / max(1.0, temperature)
        return Schedule(
            epochs=usual.epochs if self.epochs is None else self.epochs,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            batch_size=self.further_batch_size,
        )

    def schedule(self, source: str) -> Schedule:
        """Choose how an original is trained on an image source."""
        usual = _SHORT.get((source, self.architecture)) or _SCHEDULES.get(source, Schedule())
        rate = _RATES.get(self.architecture, usual.learning_rate)
        return Schedule(
            epochs=usual.epochs if self.epochs is None else self.epochs,
            learning_rate=rate if self.learning_rate is None else self.learning_rate,
            batch_size=usual.batch_size if self.batch_size is None else self.batch_size,
        )


class TrainResult(Settings):
    """What `edgerift train --json` prints."""

    type: Literal["train-result"] = "train-result"
    version: Literal[1] = 1
    original: str
    history: str
    accuracy: float
    accuracy_interval: tuple[float, float]
    images: int
    recipe: str


class Train(Command):
    """Train a float model, the original, on an image set.

    Writes DIR/original.safetensors, DIR/history.json and DIR/history.png.
    """

    example: ClassVar[str] = "edgerift train --data cifar10 --model resnet18 --out trained"

    out: Annotated[Path, OUT]
    """folder for the results"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data", whole=True)] = Field(
        default_factory=DataOptions
    )
    original: Annotated[
        OriginalOptions, tyro.conf.arg(name=""), Shown(group="training", whole=True, without=("input",))
    ] = Field(default_factory=OriginalOptions)
    as_json: Json = False

    def run(self) -> int:
        """Train what is not trained yet, write the files and say how accurate the original is."""
        with output_folder(self.out) as folder, progress_bars() as progress:
            recipe = train_recipe(self.data.images(self.original.seed), self.original)
            finished = self.data.open_store().get(recipe, progress)
            copy_files(finished, folder)
            test = images.open_splits(recipe.images).test
            # Whoever names a factory of their own on the command line has it run.
            model = zoo.load(folder / "original.safetensors", trust=True)
            rate = measure.accuracy(deploy.twin_scores(model, test.images), test.labels)
        result = TrainResult(
            original=str(folder / "original.safetensors"),
            history=str(folder / "history.json"),
            accuracy=rate.value,
            accuracy_interval=(rate.low, rate.high),
            images=len(test),
            recipe=recipe.digest(),
        )
        from rich.text import Text

        show(
            result,
            Text(f"{self.original.architecture} on {self.data.data}: test accuracy {rate}\n{folder}"),
            self.as_json,
        )
        return 0


def train_recipe(described: images.ImagesSettings, original: OriginalOptions) -> train.TrainRecipe:
    """Turn the options into the recipe of an original, for images that are resized to one size."""
    assert described.size is not None
    if original.input is not None:
        raise InputError("--input is for the weights of a file, and a model is trained here; leave it out")
    classes = class_count(described)
    architecture = zoo.Architecture(
        name=original.architecture,
        classes=classes,
        channels=original.channels,
        size=described.size,
        stem=original.stem,
        pretrained=original.pretrained,
    )
    settings = train.TrainSettings(
        **original.schedule(described.source)._asdict(),
        precision=original.precision,
        compile=original.compile,
        device=original.device,
        seed=original.seed,
        adversary=None if original.adversary is None else read_adversary(original.adversary),
    )
    # Fails now rather than later.
    zoo.create(original.architecture, classes, size=described.size, channels=original.channels, stem=original.stem)
    return train.TrainRecipe(images=described, architecture=architecture, settings=settings, init_seed=original.seed)


def read_adversary(given: str) -> train.Adversary:
    """Read the name of an adversary, and its epsilon in grey levels after a colon.

    >>> read_adversary("fast:4").epsilon
    4.0
    """
    name, colon, epsilon = given.partition(":")
    return train.adversary(
        name, number("--adversary", epsilon, "NAME:EPSILON in grey levels, such as pgd-7:8") if colon else 8
    )


def class_count(described: images.ImagesSettings) -> int:
    """Count the classes of the images that the settings describe."""
    return len(images.class_names(described))


def copy_files(finished: Path, folder: Path) -> None:
    """Copy a finished step's results, each whole, leaving out what belongs to the store."""
    for path in sorted(finished.iterdir()):
        if path.is_file() and path.name not in steps.STORE_FILES:
            steps.write_whole(folder / path.name, path.read_bytes())


def copy_file(source: Path, target: Path) -> Path:
    """Copy one result, whole or not at all."""
    with source.open("rb") as opened:
        steps.write_whole(target, opened.read())
    shutil.copymode(source, target)
    return target
