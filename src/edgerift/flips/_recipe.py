"""The search for bit flips as a step that the store keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from edgerift.adapt import AdaptRecipe, GivenOriginal, open_original
from edgerift.deploy import GivenProgram, Program, RuntimeName, twin_scores, weight_codes
from edgerift.flips._flip import BITS, flipped
from edgerift.flips._goal import Goal
from edgerift.flips._report import FlipsReport, LayerPart, RandomPart, TrialPart
from edgerift.flips._settings import FlipSettings
from edgerift.flips._trial import TIMES, Followed, follow, judged, random_accuracies, suffix_of, trial_part
from edgerift.images import ImagesSettings, open_splits
from edgerift.measure import Interval, Spread, accuracy, interval, spread
from edgerift.settings import Count, is_none
from edgerift.steps import Progress, Recipe, read_document, write_whole
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

REPORT: Final = "flips.json"
PROGRAM: Final = "program.safetensors"


class FlipsRecipe(Recipe):
    """Flip bits of a program's weights until its build is destroyed: `flips.json`, the flipped program and its build.

    `count` test images measure, all by default; the first of them. Files are those of the first trial.
    """

    type: Literal["flips"] = "flips"
    version: Literal[1] = 1
    program: Annotated[AdaptRecipe | GivenProgram, Field(discriminator="type")]
    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")] | None = Field(
        default=None, exclude_if=is_none
    )
    images: ImagesSettings
    runtime: RuntimeName
    settings: FlipSettings = Field(default_factory=FlipSettings)
    count: Count | None = None

    @property
    def artefact(self) -> str:
        """The name of the flipped build."""
        return f"model{suffix_of(self.runtime)}"

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the program, and the original that is compared with it."""
        return (self.program,) if self.original is None else (self.program, self.original)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search, judge on the runtime, and write the report and what was flipped into `folder`."""
        program = Program.load(store.get(self.program, progress) / PROGRAM)
        splits = open_splits(self.images)
        test = splits.test if self.count is None else splits.test.select(range(min(self.count, len(splits.test))))
        goal = Goal(test, self.settings)
        goal.require_class()
        before = judged(program, self.runtime, folder / self.artefact, goal)
        seeds = [self.settings.seed + number for number in range(self.settings.trials)]
        searches = [follow(program, self.runtime, splits.train, goal, seed, progress) for seed in seeds]
        # The first is written last, so that its build is the one that stays.
        rows = reversed(list(zip(seeds, searches, strict=True)))
        parts = [trial_part(program, self.runtime, folder / self.artefact, goal, one, seed) for seed, one in rows][::-1]
        flipped(program, searches[0].used).save(folder / PROGRAM)
        report = FlipsReport(
            runtime=self.runtime,
            images=len(test),
            classes=test.classes,
            target_class=self.settings.target_class,
            weight_bits=BITS * sum(codes.numel() for codes in weight_codes(program).values()),
            chance=goal.chance,
            original_accuracy=self._original_accuracy(goal, store, progress),
            accuracy=interval(accuracy(before, test.labels)),
            needed=_needed(parts),
            trials=tuple(parts),
            random=tuple(_random(program, self.runtime, goal, searches, seeds)),
            layers=_layers(program, searches),
            bits=_bits(searches),
            artefact=self.artefact,
        )
        write_whole(folder / REPORT, report.model_dump_json(indent=2) + "\n")

    def open(self, store: Store, progress: Progress) -> FlipsReport:
        """Read the report, made when missing."""
        return read_document(FlipsReport, store.get(self, progress) / REPORT)

    def _original_accuracy(self, goal: Goal, store: Store, progress: Progress) -> Interval | None:
        if self.original is None:
            return None
        original = open_original(self.original, store, progress)
        return interval(accuracy(twin_scores(original, goal.test.images), goal.test.labels))


def _needed(parts: Sequence[TrialPart]) -> Spread | None:
    counts = [part.needed for part in parts if part.needed is not None]
    return spread(counts) if counts else None


def _random(
    program: Program, runtime: str, goal: Goal, searches: Sequence[Followed], seeds: Sequence[int]
) -> Iterator[RandomPart]:
    """Measure the control: each trial's own number of flips would make the rows incomparable, so they have the most."""
    count = max(1, *(len(one.used) for one in searches))
    drawn = [random_accuracies(program, runtime, goal, count, seed) for seed in seeds]
    for times, values in zip(TIMES, zip(*drawn, strict=True), strict=True):
        yield RandomPart(flips=count * times, accuracy=spread(values))


def _layers(program: Program, searches: Sequence[Followed]) -> tuple[LayerPart, ...]:
    used = Counter(flip.layer for one in searches for flip in one.used)
    best = searches[0].by_layer
    return tuple(
        LayerPart(
            layer=layer,
            weights=codes.numel(),
            best_loss=best[layer].loss if layer in best else None,
            used=used[layer],
        )
        for layer, codes in weight_codes(program).items()
    )


def _bits(searches: Sequence[Followed]) -> tuple[int, ...]:
    used = Counter(flip.bit for one in searches for flip in one.used)
    return tuple(used[bit] for bit in range(BITS))
