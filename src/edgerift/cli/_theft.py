"""The options of a theft: what `audit`, `extract` and `harden` share."""

from __future__ import annotations

from typing import Final, Literal

from edgerift import images, zoo
from edgerift.errors import DataError
from edgerift.extract import Knockoff, QuerySettings
from edgerift.images import ImagesSettings
from edgerift.settings import BatchSize, Count, LearningRate, Seed, Settings, Times
from edgerift.train import TrainSettings

#: What a thief asks about who knows the victim's task alone: near the victim's images, or far from them.
_QUERIES: Final = {"cifar10": "cifar100", "cifar100": "cifar10", "svhn": "cifar10", "gtsrb": "cifar10"}
_COLLAGES: Final = "collages"

_SMALL_STUDENT: Final = "resnet8"
_LARGE_STUDENT: Final = "resnet18"

_BUDGET: Final = 50_000
_EPOCHS: Final = 50
_LEARNING_RATE: Final = 0.01
_BATCH: Final = 64
#: Digits are learned from few questions in few epochs, which then need more and longer strides.
_DIGITS_BUDGET: Final = 2_000
_DIGITS_EPOCHS: Final = 15
_DIGITS_LEARNING_RATE: Final = 0.05
_DIGITS_BATCH: Final = 32

#: The thief holds back no more than this of a named set: he chooses nothing by validation.
_HELD_BACK: Final = 0.01


class TheftOptions(Settings):
    """How a thief steals the build through its answers."""

    queries: str | None = None
    """what the thief asks about: an image set by name, a folder, an .npz, a hub id, or collages of the victim's own
    training images; unless given cifar100 for cifar10, cifar10 for cifar100, svhn and gtsrb, and collages otherwise"""
    budget: Count | None = None
    """how many different images the thief may ask about; 50000 unless given, 2000 for collages of digits"""
    student: str | None = None
    """the clone's network; resnet8 for a victim that is one of the small networks or your own, else resnet18"""
    thief_epochs: Times | None = None
    """passes of the clone over the answers; 50 unless given, 15 for digits"""
    thief_learning_rate: LearningRate | None = None
    """the highest learning rate of the clone's training; 0.01 unless given, 0.05 for digits"""
    thief_batch_size: BatchSize | None = None
    """questions a step of the clone's training; 64 unless given, 32 for digits"""
    thief_precision: Literal["float32", "bfloat16"] = "float32"
    """bfloat16 trains the clone under autocast"""
    thief_seed: Seed | None = None
    """draws the questions, the views and the clone's first weights; the next after --seed unless given, for with the
    victim's own seed a clone of the same network starts from the victim's own first weights, which no thief knows"""


def question_budget(options: TheftOptions, victim: ImagesSettings) -> int:
    """Tell how many different images a thief may ask about; `victim` describes the victim's own images."""
    if options.budget is not None:
        return options.budget
    return _DIGITS_BUDGET if victim.source == "digits" and _source(options, victim) == _COLLAGES else _BUDGET


def query_settings(options: TheftOptions, victim: ImagesSettings, *, seed: int = 0) -> QuerySettings:
    """Describe what a thief asks about; `victim` describes the victim's own images, whose size the questions have.

    Nearly all training images of a named set are asked about, and as many collages as the budget pays for. Raises
    :class:`~edgerift.errors.DataError` for a set that is missing; where nobody named it, the error says how to do
    without it.
    """
    source = _source(options, victim)
    if source == _COLLAGES:
        return QuerySettings(images=victim, collages=question_budget(options, victim), seed=seed)
    described = ImagesSettings(source=source, size=victim.size, validation_fraction=_HELD_BACK, seed=victim.seed)
    try:
        return QuerySettings(images=images.resolve(described), seed=seed)
    except DataError as error:
        if options.queries is not None:
            raise
        raise DataError(
            f"thieves of '{victim.source}' ask about '{source}' unless told otherwise: {error}; or pass "
            "--queries collages to ask about collages of the victim's own images"
        ) from None


def thief(
    options: TheftOptions,
    victim: ImagesSettings,
    architecture: str,
    *,
    labels: Literal["soft", "hard"] = "soft",
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> Knockoff:
    """Describe how a thief trains his clone; `architecture` is the victim's network by its name in the zoo.

    `seed` is the victim's; the thief has the next one unless he is given his own, for with the victim's a clone of the
    same network would start from the victim's first weights, which no thief knows. Raises
    :class:`~edgerift.errors.ModelError` for a student that is not known.
    """
    digits = victim.source == "digits"
    student = clone_network(options, architecture)
    zoo.create(student, 2, size=victim.size or 32)  # Fails now rather than later.
    own_seed = seed + 1 if options.thief_seed is None else options.thief_seed
    training = TrainSettings(
        epochs=options.thief_epochs or (_DIGITS_EPOCHS if digits else _EPOCHS),
        learning_rate=options.thief_learning_rate or (_DIGITS_LEARNING_RATE if digits else _LEARNING_RATE),
        batch_size=options.thief_batch_size or (_DIGITS_BATCH if digits else _BATCH),
        precision=options.thief_precision,
        device=device,
        seed=own_seed,
    )
    return Knockoff(student=student, labels=labels, training=training, seed=own_seed)


def clone_network(options: TheftOptions, architecture: str) -> str:
    """Name the clone's network; `architecture` is the victim's by its name in the zoo."""
    return options.student or (_SMALL_STUDENT if zoo.is_small(architecture) else _LARGE_STUDENT)


def _source(options: TheftOptions, victim: ImagesSettings) -> str:
    return options.queries or _QUERIES.get(victim.source, _COLLAGES)
