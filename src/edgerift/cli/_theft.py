"""The options of a theft: what `audit`, `extract` and `harden` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeAlias

from pydantic import Field

from edgerift import extract, images, train, zoo
from edgerift.cli._fields import Shown
from edgerift.errors import DataError
from edgerift.settings import BatchSize, Count, LearningRate, Seed, Settings, Times

_SMALL_STUDENT: Final = "resnet8"
_LARGE_STUDENT: Final = "resnet18"

_BUDGET: Final = 50_000
_DIGITS_BUDGET: Final = 2_000


class _Schedule(NamedTuple):
    """How a clone is trained."""

    epochs: int
    learning_rate: float
    batch_size: int


_USUAL: Final = _Schedule(epochs=50, learning_rate=0.05, batch_size=64)
#: Digits are learned from few queries in few epochs.
_DIGITS: Final = _Schedule(epochs=15, learning_rate=0.05, batch_size=32)
#: So few need larger steps, of which a network without batch normalisation learns nothing.
_SHORT: Final = _Schedule(epochs=10, learning_rate=0.2, batch_size=32)

_POLICIES: Final = "jacobian: 150 images doubled in 5 rounds (Papernot et al. 2017), so 4800 queries or --budget"
_QUERIES_DEFAULT: Final = "By default cifar100 for cifar10; cifar10 for cifar100, svhn and gtsrb; else collages"

if TYPE_CHECKING:
    PolicyName: TypeAlias = str
else:
    PolicyName = Literal[extract.QUERY_POLICIES.names()]


class TheftOptions(Settings):
    """How an attacker steals the build through its predictions."""

    queries: Annotated[str | None, Shown(metavar="SET", default="chosen by --data", details=_QUERIES_DEFAULT)] = None
    """images that the attacker queries: an image set as for --data, or collages of the victim's training images"""
    query_policy: Annotated[PolicyName, Shown(advanced=True, details=_POLICIES)] = "random"
    """how the attacker chooses its queries: random images of --queries, or jacobian: a few, and steps from them"""
    budget: Annotated[Count | None, Shown(default="2000 for collages of digits, else 50000")] = None
    """number of different images that the attacker may query"""
    student: Annotated[str | None, Shown(default="resnet8 for a small or custom victim, else resnet18")] = None
    """architecture of the clone"""
    clone_epochs: Annotated[Times | None, Shown(default="50; 10 or 15 for digits")] = None
    """training epochs of the clone"""
    clone_learning_rate: Annotated[
        LearningRate | None, Shown(advanced=True, default="0.05; 0.2 for resnet8 on digits")
    ] = None
    """peak learning rate of the clone"""
    clone_batch_size: Annotated[BatchSize | None, Shown(advanced=True, default="32 for digits, else 64")] = None
    """images per training step of the clone"""
    clone_precision: Annotated[Literal["auto", "float32", "bfloat16"], Shown(advanced=True)] = "auto"
    """precision of the clone's training; auto is as for --precision, and float32 for attacks without images"""
    clone_distortion: Annotated[float, Field(ge=0, le=1), Shown(advanced=True, details="From 0 to 1")] = 0.0
    """how strongly the clone's training distorts the queries: turned, scaled, sheared, changed in tone, covered"""
    clone_mixup: Annotated[float, Field(ge=0, le=100), Shown(advanced=True, metavar="ALPHA")] = 0.0
    """train the clone on mixtures of two queries and of their answers, by weights of a Beta(ALPHA, ALPHA)"""
    clone_start: Annotated[Path | None, Shown(advanced=True, metavar="FILE")] = None
    """start the clone from a .safetensors of the same architecture, trained on other images"""
    clone_seed: Annotated[Seed | None, Shown(advanced=True, default="--seed plus 1")] = None
    """seed for queries, views and the clone's initial weights; with the victim's own seed a clone of the same
    architecture would start from the victim's initial weights, which an attacker does not know"""


def question_budget(options: TheftOptions, victim: images.ImagesSettings) -> int:
    """Compute how many different images an attacker may query; `victim` describes the victim's own images."""
    if options.budget is not None:
        return options.budget
    return _DIGITS_BUDGET if victim.source == "digits" and _source(options, victim) == extract.COLLAGES else _BUDGET


def query_settings(options: TheftOptions, victim: images.ImagesSettings, *, seed: int = 0) -> extract.QuerySettings:
    """Describe what an attacker queries; `victim` describes the victim's own images, whose size the queries have.

    Nearly all training images of a named set are queried, and as many collages as the budget pays for. Raises
    :class:`~edgerift.errors.DataError` for a set that is missing; where nobody named it, the error says how to do
    without it.
    """
    source = _source(options, victim)
    if source == extract.COLLAGES:
        return extract.QuerySettings(images=victim, collages=question_budget(options, victim), seed=seed)
    described = images.ImagesSettings(
        source=source, size=victim.size, validation_fraction=extract.HELD_BACK, seed=victim.seed
    )
    try:
        return extract.QuerySettings(images=images.resolve(described), seed=seed)
    except DataError as error:
        if options.queries is not None:
            raise
        raise DataError(
            f"the default --queries for '{victim.source}' is '{source}': {error}; or pass --queries collages to query "
            "collages of the victim's own images"
        ) from None


def thief(
    options: TheftOptions,
    victim: images.ImagesSettings,
    architecture: str,
    *,
    labels: Literal["soft", "hard"] = "soft",
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> extract.Knockoff:
    """Describe how an attacker trains a clone; `architecture` is the victim's network by its name in the zoo.

    `seed` is the victim's; the attacker's default is the next one, since with the victim's a clone of the same network
    would start from the victim's initial weights, which no attacker knows. Raises
    :class:`~edgerift.errors.ModelError` for a student that is not known.
    """
    student = clone_network(options, architecture)
    usual = _USUAL if victim.source != "digits" else _SHORT if student == _SMALL_STUDENT else _DIGITS
    zoo.create(student, 2, size=victim.size or 32)  # Fails now rather than later.
    own_seed = seed + 1 if options.clone_seed is None else options.clone_seed
    training = train.TrainSettings(
        epochs=options.clone_epochs or usual.epochs,
        learning_rate=options.clone_learning_rate or usual.learning_rate,
        batch_size=options.clone_batch_size or usual.batch_size,
        precision=options.clone_precision,
        device=device,
        seed=own_seed,
        distortion=options.clone_distortion,
        mixup=options.clone_mixup,
    )
    start = None if options.clone_start is None else extract.start_from(options.clone_start)
    policy = extract.QUERY_POLICIES[options.query_policy](type=options.query_policy)
    return extract.Knockoff(
        student=student, labels=labels, training=training, seed=own_seed, policy=policy, start=start
    )


def clone_network(options: TheftOptions, architecture: str) -> str:
    """Name the clone's network; `architecture` is the victim's by its name in the zoo."""
    return options.student or (_SMALL_STUDENT if zoo.is_small(architecture) else _LARGE_STUDENT)


def _source(options: TheftOptions, victim: images.ImagesSettings) -> str:
    return options.queries or extract.QUERY_SETS.get(victim.source, extract.COLLAGES)
