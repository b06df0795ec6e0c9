"""One search for bit flips: followed by the twin, judged on the runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from edgerift.deploy import RUNTIMES, Program, build
from edgerift.flips._flip import Flip, flipped, random_flips
from edgerift.flips._goal import Goal, answered
from edgerift.flips._report import TrialPart
from edgerift.flips._search import search_bits
from edgerift.images import ImageSet
from edgerift.measure import accuracy, interval
from edgerift.steps import Progress

#: The random control has as many flips as the search, and these multiples of them.
TIMES: Final = (1, 10, 100)


class Followed(NamedTuple):
    """A search as the twin sees it: the flips, the accuracy before them and after each, and how many were needed."""

    flips: tuple[Flip, ...]
    curve: tuple[float, ...]
    needed: int | None
    by_layer: dict[str, Flip]

    @property
    def used(self) -> tuple[Flip, ...]:
        """The flips up to the goal; all of them where it is not reached."""
        return self.flips if self.needed is None else self.flips[: self.needed]


def follow(program: Program, runtime: str, train: ImageSet, goal: Goal, seed: int, progress: Progress) -> Followed:
    """Search, and stop at the goal; the images that steer are drawn from the training images by the seed."""
    settings = goal.settings
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(train), generator=generator)[: settings.images]
    rounds = search_bits(
        program,
        train.images[drawn],
        train.labels[drawn],
        candidates=settings.candidates,
        target_class=settings.target_class,
    )
    scores = answered(program, runtime, goal.test)
    flips: list[Flip] = []
    by_layer: dict[str, Flip] = {}
    curve = [accuracy(scores, goal.test.labels).value]
    while len(flips) < settings.flips and not goal.is_reached(scores):
        progress("flip bits", len(flips), settings.flips, f"accuracy {curve[-1]:.1%}")
        found = next(rounds, None)
        if found is None:
            break
        by_layer = by_layer or found.by_layer
        flips.append(found.flip)
        scores = answered(flipped(program, flips), runtime, goal.test)
        curve.append(accuracy(scores, goal.test.labels).value)
    progress("flip bits", settings.flips, settings.flips, f"{len(flips)} flips, accuracy {curve[-1]:.1%}")
    needed = len(flips) if goal.is_reached(scores) else None
    return Followed(tuple(flips), tuple(curve), needed, by_layer)


def judged(program: Program, runtime: str, path: Path, goal: Goal) -> Tensor:
    """Build a program, and ask the build about the images that measure: its scores `[N,K]`."""
    made = build(program, runtime, path, images=goal.test.images)
    return made.predict(goal.test.images)


def trial_part(program: Program, runtime: str, path: Path, goal: Goal, found: Followed, seed: int) -> TrialPart:
    """Write the flipped build, and judge it."""
    scores = judged(flipped(program, found.used), runtime, path, goal)
    counts = torch.bincount(scores.argmax(1), minlength=scores.shape[1])
    return TrialPart(
        seed=seed,
        flips=found.flips,
        curve=found.curve,
        # The runtime has the last word.
        needed=found.needed if goal.is_reached(scores) else None,
        accuracy=interval(accuracy(scores, goal.test.labels)),
        answered=int(counts.argmax()),
        answered_share=float(counts.max()) / len(scores),
    )


def random_accuracies(program: Program, runtime: str, goal: Goal, count: int, seed: int) -> list[float]:
    """Measure the twin after random flips, `count` of them and its multiples."""
    drawn = random_flips(program, count * TIMES[-1], seed)
    return [
        accuracy(answered(flipped(program, drawn[: count * times]), runtime, goal.test), goal.test.labels).value
        for times in TIMES
    ]


def suffix_of(runtime: str) -> str:
    """The suffix of a runtime's artefacts."""
    return RUNTIMES[runtime].suffix
