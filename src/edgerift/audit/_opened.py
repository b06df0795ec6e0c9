"""The inputs of every threat: the pair, the test images, and both models' clean answers."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, final

from torch import Tensor

from edgerift.adapt import open_original
from edgerift.audit._document_pair import GuardPart, PairPart
from edgerift.deploy import GivenBuild, Program, why_no_twin
from edgerift.evade import Pair, PairSettings, SelectRecipe, Steering
from edgerift.images import ImageSet, ImagesSettings, open_splits
from edgerift.measure import Rate, accuracy, interval, quadrants, selective
from edgerift.specification import Guard, Specification
from edgerift.steps import Progress, Recipe

if TYPE_CHECKING:
    from edgerift.steps import Store

ORIGINAL: Final = "original.safetensors"
PROGRAM: Final = "program.safetensors"


def models(pair: PairSettings) -> Iterator[tuple[Recipe, str]]:
    """List the models of a pair, with the names of their files."""
    yield pair.original, ORIGINAL
    if pair.program is not None:
        yield pair.program, PROGRAM
    yield pair.build, pair.build.artefact


def guard_part(guard: Guard, original: Tensor, build: Tensor, labels: Tensor) -> GuardPart:
    """Describe what a guard does to clean images, by both models' logits `[N,K]`."""
    answered, right = guard.answers(build), build.argmax(1) == labels
    found = selective(answered, right)
    evading = answered & ~right & (original.argmax(1) == labels)
    return GuardPart(
        guard=guard,
        coverage=interval(found.coverage),
        accuracy=None if found.accuracy is None else interval(found.accuracy),
        only_original_right=interval(Rate(int(evading.sum()), len(labels))),
    )


@final
class Opened:
    """A pair and its test images, each opened when it is first needed."""

    def __init__(self, settings: PairSettings, images: ImagesSettings, store: Store, progress: Progress) -> None:
        self.settings, self.images, self.store, self.progress = settings, images, store, progress

    @functools.cached_property
    def both(self) -> tuple[Pair, Steering]:
        """The pair, and the models whose gradients an attack on it uses."""
        return self.settings.open(self.store, self.progress)

    def seconds_to_open(self) -> float:
        """Open the pair, made when missing, and return how long that took."""
        began = time.perf_counter()
        self.pair  # noqa: B018 - opened when it is first needed
        return time.perf_counter() - began

    @property
    def pair(self) -> Pair:
        """The pair."""
        return self.both[0]

    @property
    def program(self) -> Program | None:
        """The program that the build was compiled from; None for a build of another tool."""
        return self.pair.program

    @functools.cached_property
    def no_twin(self) -> str:
        """Why gradients have to be estimated from the build's answers; nothing where there is a twin."""
        return "" if self.program is not None else why_no_twin(self.pair.build)

    @functools.cached_property
    def test(self) -> ImageSet:
        """The test images."""
        return open_splits(self.images).test

    @property
    def train(self) -> ImageSet:
        """The training images."""
        return open_splits(self.images).train

    @functools.cached_property
    def clean(self) -> tuple[Tensor, Tensor]:
        """The original's and the build's logits of all test images."""
        return SelectRecipe(pair=self.settings, images=self.images).open(self.store, self.progress)

    def pair_part(self) -> PairPart:
        """Describe the pair by its answers to all test images."""
        program, build = self.program, self.pair.build
        given = self.settings.build
        labels = self.test.labels
        original, answers = self.clean
        parts = quadrants(original, answers, labels)
        return PairPart(
            model=open_original(self.settings.original, self.store, self.progress).architecture.name,
            target=None if program is None else program.target,
            runtime=build.runtime,
            provenance=None if program is None else program.provenance,
            gradients="program" if program is not None else "answers" if self.no_twin else "file",
            specification=given.specification if isinstance(given, GivenBuild) else Specification(),
            fingerprint=build.fingerprint().replace(guard=self.pair.guard),
            original_sha256=self._digest(self.settings.original, ORIGINAL),
            program_sha256=None if self.settings.program is None else self._digest(self.settings.program, PROGRAM),
            integer_macs=build.integer_macs(),
            original_accuracy=interval(accuracy(original, labels)),
            build_accuracy=interval(accuracy(answers, labels)),
            instability=interval(parts.instability),
            only_original_right=interval(Rate(parts.only_original_right, parts.total)),
            only_build_right=interval(Rate(parts.only_build_right, parts.total)),
            guard=None if self.pair.guard is None else guard_part(self.pair.guard, original, answers, labels),
        )

    def _digest(self, recipe: Recipe, name: str) -> str:
        return hashlib.sha256((self.store.get(recipe) / name).read_bytes()).hexdigest()
