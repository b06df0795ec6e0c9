"""Stealing a victim as a step that the store keeps, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator
from torch import Tensor, nn

from edgerift import zoo
from edgerift.adapt import GivenOriginal, open_original
from edgerift.defend import Defence, defended
from edgerift.deploy import Build, BuildRecipe, GivenBuild, opened_build, twin_scores
from edgerift.extract._endpoint_settings import GivenEndpoint
from edgerift.extract._knockoff import Knockoff, knockoff
from edgerift.extract._measures import measures
from edgerift.extract._oracle import Oracle
from edgerift.extract._posteriors import posteriors
from edgerift.extract._remote import RemoteVictim
from edgerift.images import ImageSet, ImagesSettings, collages, open_splits
from edgerift.measure import Interval, MeanInterval, mean_interval, posterior_l1
from edgerift.settings import Count, Seed, Settings
from edgerift.steps import Progress, Recipe, read_document, write_whole
from edgerift.train import TrainRecipe, plot_history

if TYPE_CHECKING:
    from edgerift.steps import Store

CLONE: Final = "clone.safetensors"
THEFT: Final = "theft.json"
LEDGER: Final = "ledger.bin"
_MEASURED: Final = "measured.bin"
_CHECKPOINT: Final = "checkpoint.pt"
#: Collages are all in memory: so many of 32 x 32 pixels take 30 gigabytes.
_MOST_COLLAGES: Final = 10_000_000


class QuerySettings(Settings):
    """What an attacker queries: the training images of a set, or `collages` of them, that many, drawn with `seed`.

    Nobody looks at the labels of a set, which may be any numbers.
    """

    images: ImagesSettings
    collages: Annotated[int, Field(gt=0, le=_MOST_COLLAGES)] | None = None
    seed: Seed = 0

    def open(self) -> ImageSet:
        """Load the images; raises :class:`~edgerift.errors.DataError` for a source that is missing or damaged."""
        if self.collages is not None:
            return collages(open_splits(self.images).train, self.collages, seed=self.seed)
        return open_splits(self.images.replace(labels=self.images.labels or "renumbered")).train


class BestEpoch(Settings):
    """The epoch, from 1, whose clone was most accurate on the test images, and its error there.

    It is chosen on the test set, so it flatters the attacker; it is reported because published code reports it.
    """

    epoch: int
    error: float


class Theft(Settings):
    """What a theft took, on the victim's own test images.

    Errors and disagreement are shares in [0, 1]. `defender_error` is that of the answers as the attacker and every user
    gets them, defences included; `adversary_error` that of the clone of the last epoch; `disagreement` the share of
    images to which the defended victim and the clone give different labels. `l1` and `l1_queries` measure what the
    defences change, on the test images and on the attacker's queries, in [0, 2] (a mean over the images);
    `divergence` is KL(victim || clone) in nats. `calibration_error` and `negative_log_likelihood` are of the defended
    answers. `spent` counts the images paid for.
    """

    type: Literal["theft"] = "theft"
    version: Literal[1] = 1
    attack: Knockoff
    defences: tuple[Defence, ...]
    budget: int
    spent: int
    queries: str
    defender_error: Interval
    adversary_error: Interval
    best_epoch: BestEpoch
    disagreement: Interval
    l1: MeanInterval
    l1_queries: MeanInterval
    divergence: MeanInterval
    calibration_error: float
    negative_log_likelihood: float


Victim: TypeAlias = Annotated[
    TrainRecipe | GivenOriginal | BuildRecipe | GivenBuild,
    Field(discriminator="type"),
]


def open_victim(recipe: Victim, store: Store, progress: Progress) -> Build | nn.Module:
    """Open a victim, made when missing: a build, or an original in float (the paper's "Large")."""
    if isinstance(recipe, TrainRecipe | GivenOriginal):
        return open_original(recipe, store, progress)
    return opened_build(recipe, store, progress)


class ExtractRecipe(Recipe):
    """Steal a victim: `theft.json`, `clone.safetensors`, `ledger.bin`, `history.json` and `history.png`.

    `images` are the victim's own, whose test images measure the theft; `queries` what the attacker queries, and
    `budget` how many answers are paid for. A run that was killed pays for no image twice and goes on from the clone's
    last epoch. An endpoint's answers to the test images are paid for too, beside the budget, and kept in
    `measured.bin`.
    """

    type: Literal["extract"] = "extract"
    version: Literal[2] = 2
    victim: Annotated[
        TrainRecipe | GivenOriginal | BuildRecipe | GivenBuild | GivenEndpoint, Field(discriminator="type")
    ]
    defences: tuple[Defence, ...] = ()
    images: ImagesSettings
    queries: QuerySettings
    budget: Count = 50_000
    attack: Knockoff = Knockoff()

    @model_validator(mode="after")
    def _answers_are_comparable(self) -> Self:
        if any(not defence.sums_to_one for defence in self.defences):
            raise ValueError("a theft is measured on answers that add up to 1; use top-k with renormalise true")
        if isinstance(self.victim, GivenEndpoint) and self.defences:
            raise ValueError("an endpoint has its own defences; leave these out")
        return self

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Ask, train the clone, and write what was measured into `folder`."""
        victim: Build | RemoteVictim | nn.Module
        if isinstance(self.victim, GivenEndpoint):
            victim = self.victim.open()
        else:
            victim = open_victim(self.victim, store, progress)
        test = open_splits(self.images).test
        queries = self.queries.open()
        checkpoint = folder / _CHECKPOINT
        with Oracle(victim, budget=self.budget, defence=self.defences, ledger=folder / LEDGER) as oracle:
            clone = knockoff(
                oracle, queries, settings=self.attack, measured_on=test, checkpoint=checkpoint, progress=progress
            )
            spent = oracle.spent
        assert isinstance(clone.model, zoo.Classifier)
        zoo.save(clone.model, folder / CLONE)
        write_whole(folder / "history.json", clone.history.as_json())
        plot_history(clone.history, folder / "history.png")
        best = clone.best_epoch()
        assert best is not None
        clean = _undefended(victim, test.images, folder)
        # What an endpoint's own defences change cannot be known from its answers.
        seen = test if isinstance(victim, RemoteVictim) else clone.questions
        asked = clean if isinstance(victim, RemoteVictim) else posteriors(victim, seen.images)
        theft = Theft(
            attack=self.attack,
            defences=self.defences,
            budget=self.budget,
            spent=spent,
            queries=clone.questions.name,
            best_epoch=BestEpoch(epoch=best[0], error=1 - best[1]),
            l1_queries=mean_interval(posterior_l1(defended(asked, self.defences, seen.images), asked)),
            **measures(
                clean,
                defended(clean, self.defences, test.images),
                twin_scores(clone.model, test.images).softmax(1),
                test.labels,
            ),
        )
        write_whole(folder / THEFT, theft.model_dump_json(indent=2) + "\n")
        checkpoint.unlink(missing_ok=True)
        # The store lets nobody else into this folder.
        for ledger in (LEDGER, _MEASURED):
            (folder / f"{ledger}.lock").unlink(missing_ok=True)
        if isinstance(victim, RemoteVictim):
            victim.close()

    def theft(self, store: Store, progress: Progress) -> Theft:
        """Read what was measured, stolen when missing."""
        return read_document(Theft, store.get(self, progress) / THEFT)


def _undefended(victim: Build | RemoteVictim | nn.Module, images: Tensor, folder: Path) -> Tensor:
    """Ask about the test images, which measure and are no part of the attack; an endpoint's answers are kept."""
    if not isinstance(victim, RemoteVictim):
        return posteriors(victim, images)
    with Oracle(victim, budget=len(images), ledger=folder / _MEASURED) as oracle:
        return oracle.ask(images)
