"""One adapted model and every attack on it, measured: the data of the tables and figures of the first paper."""

from __future__ import annotations

import base64
import binascii
import operator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, TypeAlias

import torch
from pydantic import AfterValidator, Field, model_validator

from edgerift.audit import (
    AttackPart,
    ComparisonPart,
    EmbeddingPart,
    SurrogatePart,
    SurrogateRecipe,
    attack_part,
    comparison,
    embedded,
    surrogate_part,
)
from edgerift.differ import DifferRecipe, DifferSettings
from edgerift.errors import DataError, first_line
from edgerift.evade import Attack, AttackedSplit, EvadeRecipe, Evasion, PairSettings, SelectRecipe, png_bytes, read_png
from edgerift.flips import FlipSettings, FlipsRecipe
from edgerift.images import ImagesSettings, open_splits
from edgerift.measure import Interval, accuracy, interval, quadrants
from edgerift.settings import ClassNumber, Count, Seed, Settings, is_none
from edgerift.steps import Progress, Recipe, read_document, write_whole
from edgerift.study._neighbours import DifferedPart, FlippedPart, differed_part, flipped_part
from edgerift.train import read_history

if TYPE_CHECKING:
    from edgerift.steps import Store

REPORT: Final = "pair.json"

#: Enough to see clusters in.
_POINTS: Final = 150
_EXAMPLES: Final = 4


class EpochPart(Settings):
    """One epoch of a training: its mean loss and its accuracies, in [0, 1]; None where they were not measured."""

    loss: float
    train_accuracy: float | None
    validation_accuracy: float | None


def _picture(text: str) -> str:
    """Return a PNG file in base64; raises `ValueError` for anything else."""
    try:
        read_png(base64.b64decode(text, validate=True))
    except (binascii.Error, DataError) as error:
        raise ValueError(f"it must be a PNG file in base64: {first_line(error)}") from None
    return text


Picture: TypeAlias = Annotated[str, AfterValidator(_picture)]


class ExamplePart(Settings):
    """One evasive image: both files as PNG in base64, and the models' answers to the attacked one.

    Labels are class numbers, probabilities are in [0, 1].
    """

    label: int
    original_label: int
    original_probability: float
    build_label: int
    build_probability: float
    clean_png: Picture
    attacked_png: Picture


class PairReport(Settings):
    """An original, its adapted model, and the results of each attack.

    Accuracies are those on the test images, and `instability` is the share of them that exactly one of both gets right.
    `attacked` images were drawn from those of the test or training images that both get right. `original_epochs` and
    `adapted_epochs` are both training histories; the second is empty after post-training quantization. `embeddings` and
    `examples` are of one attack, where pictures were requested. `surrogates` are those of the attacks whose attacker
    lacks a model. `flips` and `differ` are the attacks beside evasions, None where the study has none.
    """

    type: Literal["pair-report"] = "pair-report"
    version: Literal[1] = 1
    classes: tuple[str, ...]
    original_accuracy: Interval
    build_accuracy: Interval
    instability: Interval
    attacked: int
    attacks: dict[str, AttackPart]
    comparisons: tuple[ComparisonPart, ...]
    original_epochs: tuple[EpochPart, ...]
    adapted_epochs: tuple[EpochPart, ...]
    embeddings: tuple[EmbeddingPart, ...]
    examples: tuple[ExamplePart, ...]
    surrogates: dict[str, SurrogatePart] = Field(default_factory=dict, exclude_if=operator.not_)
    flips: FlippedPart | None = Field(default=None, exclude_if=is_none)
    differ: DifferedPart | None = Field(default=None, exclude_if=is_none)


class PairRecipe(Recipe):
    """Attack an adapted model and report: `pair.json`.

    Every attack is a step of its own on the same `count` images, drawn with the seed `draw` from those of a `split`
    that both models get right: test images, or training images. `pictured` names the attack whose images are shown,
    those of the classes `classes` in the embeddings, of `points` images at most. An attack with `surrogates` is steered
    by them, and stops where it believes. `flips` searches for bits of the build's weights, and `differ` for differences
    on the first `count` test images.
    """

    type: Literal["pair"] = "pair"
    version: Literal[1] = 1
    pair: PairSettings
    images: ImagesSettings
    attacks: dict[str, Attack] = Field(min_length=1)
    count: Count | None = None
    draw: Seed = 0
    split: AttackedSplit = "test"
    pictured: str | None = None
    classes: tuple[ClassNumber, ...] = ()
    points: Count = Field(default=_POINTS, exclude_if=lambda count: count == _POINTS)
    surrogates: dict[str, SurrogateRecipe] = Field(default_factory=dict, exclude_if=operator.not_)
    flips: FlipSettings | None = Field(default=None, exclude_if=is_none)
    differ: DifferSettings | None = Field(default=None, exclude_if=is_none)
    shard: Count | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _shows_one_of_them(self) -> Self:
        if self.pictured is not None and self.pictured not in self.attacks:
            raise ValueError(f"pictured is '{self.pictured}'; it must be one of the attacks {', '.join(self.attacks)}")
        if self.pair.control is not None and (self.flips is not None or self.differ is not None):
            raise ValueError(
                "flips and differ are for builds, and a control stands in the build's place; leave them out"
            )
        if self.pair.program is None and self.flips is not None:
            raise ValueError("bits of a program are flipped, and the pair has none; leave flips out")
        for name in self.surrogates:
            if name not in self.attacks:
                raise ValueError(f"there are surrogates for '{name}'; the attacks are {', '.join(self.attacks)}")
        return self

    def searching(self, attack: str) -> EvadeRecipe:
        """Describe one attack's search."""
        return EvadeRecipe(
            pair=self.pair,
            images=self.images,
            attack=self.attacks[attack],
            count=self.count,
            draw=self.draw,
            split=self.split,
            surrogate=self.surrogates.get(attack),
            shard=self.shard,
            name=attack,
        )

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the pair, its clean answers, and the searches."""
        beside = [one for one in (self.flipping, self.differing) if one is not None]
        return (*self.pair.opened, self._selecting, *(self.searching(name) for name in self.attacks), *beside)

    @property
    def flipping(self) -> FlipsRecipe | None:
        """The search for bit flips, None where there is none."""
        pair = self.pair
        if self.flips is None or pair.program is None:
            return None
        return FlipsRecipe(program=pair.program, images=self.images, runtime=pair.build.runtime, settings=self.flips)

    @property
    def differing(self) -> DifferRecipe | None:
        """The differential testing, None where there is none."""
        if self.differ is None:
            return None
        return DifferRecipe(pair=self.pair, images=self.images, settings=self.differ, count=self.count)

    @property
    def _selecting(self) -> SelectRecipe:
        return SelectRecipe(pair=self.pair, images=self.images)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Run the missing searches, measure them, and write the report into `folder`."""
        test = open_splits(self.images).test
        original, build = self._selecting.open(store, progress)
        found = {name: self.searching(name).open(store, progress) for name in self.attacks}
        names = list(found)
        pairs = [(first, second) for place, first in enumerate(names) for second in names[place + 1 :]]
        shown = None if self.pictured is None else found[self.pictured]
        report = PairReport(
            classes=test.classes,
            original_accuracy=interval(accuracy(original, test.labels)),
            build_accuracy=interval(accuracy(build, test.labels)),
            instability=interval(quadrants(original, build, test.labels).instability),
            attacked=len(found[names[0]]),
            attacks={name: attack_part(result) for name, result in found.items()},
            comparisons=tuple(comparison(one, found[one], other, found[other]) for one, other in pairs),
            original_epochs=_epochs(store.get(self.pair.original, progress)),
            adapted_epochs=_epochs(store.get(self.pair.adapted, progress)),
            embeddings=() if shown is None else self._embeddings(shown, store, progress),
            examples=() if shown is None else _examples(shown),
            surrogates={
                name: surrogate_part(made, test.images, original, store, progress)
                for name, made in self.surrogates.items()
            },
            flips=None if self.flipping is None else flipped_part(self.flipping.open(store, progress)),
            differ=None if self.differing is None else differed_part(self.differing.open(store, progress)),
        )
        write_whole(folder / REPORT, report.model_dump_json(indent=2) + "\n")

    def open(self, store: Store, progress: Progress) -> PairReport:
        """Read the report, made when missing."""
        return read_document(PairReport, store.get(self, progress) / REPORT)

    def _embeddings(self, shown: Evasion, store: Store, progress: Progress) -> tuple[EmbeddingPart, ...]:
        if self.pair.control is not None:
            return ()
        kept = torch.ones(len(shown), dtype=torch.bool)
        if self.classes:
            kept = torch.isin(shown.labels, torch.tensor(self.classes))
        pair, _ = self.pair.open(store, progress)
        return embedded(pair, shown.select(kept.nonzero()[: self.points, 0]))


def _epochs(folder: Path) -> tuple[EpochPart, ...]:
    path = folder / "history.json"
    if not path.is_file():
        return ()
    return tuple(
        EpochPart(
            loss=epoch.train_loss,
            train_accuracy=epoch.train_accuracy,
            validation_accuracy=epoch.validation_accuracy,
        )
        for epoch in read_history(path.read_bytes()).epochs
    )


def _examples(found: Evasion) -> tuple[ExamplePart, ...]:
    """Show the first evasive image of each of a few classes."""
    hits = found.select(found.evasive)
    first = {label: row for row, label in reversed(list(enumerate(hits.labels.tolist())))}
    rows = [first[label] for label in sorted(first)][:_EXAMPLES]
    original, build = hits.original.double().softmax(1), hits.build.double().softmax(1)
    return tuple(
        ExamplePart(
            label=int(hits.labels[row]),
            original_label=int(original[row].argmax()),
            original_probability=float(original[row].max()),
            build_label=int(build[row].argmax()),
            build_probability=float(build[row].max()),
            clean_png=base64.b64encode(png_bytes(hits.clean[row])).decode(),
            attacked_png=base64.b64encode(png_bytes(hits.images[row])).decode(),
        )
        for row in rows
    )
