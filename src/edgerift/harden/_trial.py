"""One build behind one guard under attack, as a step that the store keeps."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, SerializeAsAny
from torch import Tensor

from edgerift.adapt import GivenOriginal, open_original
from edgerift.certify import certify
from edgerift.defend import GuardRecipe
from edgerift.deploy import BuildRecipe, GivenBuild, Program, opened_build
from edgerift.errors import InputError, ModelError
from edgerift.evade import (
    GreyLevels,
    Pair,
    Steering,
    curve,
    drawn,
    eligible,
    select,
)
from edgerift.harden._evasion_document import ReachPart, TrialPart
from edgerift.images import ImageSet, ImagesSettings, open_splits
from edgerift.measure import Interval, Rate, interval, selective
from edgerift.settings import Count, Seed, Times, TimesOrNone, is_none
from edgerift.specification import Guard
from edgerift.steps import Progress, Recipe, read_document, write_whole
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

_TRIAL: Final = "trial.json"


class TrialRecipe(Recipe):
    """Attack a build behind a guard at several epsilons: `trial.json`.

    The guard is calibrated on the validation images to answer the share `coverage` of them; without one there is no
    guard. `count` images of the `split` that both models get right are attacked, drawn with the seed `draw`; all by
    default. The attacker knows the guard and the build's twin; that of a build without a `program` is its file's own,
    and without one gradients come from its answers. `abstaining` measures too how often an attacker makes
    the build abstain, by the default attack, and `certifying` for how many of the first N images it is proved that
    none evades. An image that evades at one epsilon evades at every larger one, and is not attacked again there.
    """

    type: Literal["evasion-trial"] = "evasion-trial"
    version: Literal[4] = 4
    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]
    program: SerializeAsAny[Recipe] | None = Field(default=None, exclude_if=is_none)
    build: Annotated[BuildRecipe | GivenBuild, Field(discriminator="type")]
    images: ImagesSettings
    coverage: Annotated[float, Field(gt=0, le=1)] | None = None
    epsilons: tuple[GreyLevels, ...] = (1, 2, 4, 8)
    attack: str = "default"
    steps: Times = 20
    split: Literal["validation", "test"] = "validation"
    count: Count | None = None
    draw: Seed = 0
    abstaining: bool = False
    certifying: TimesOrNone = 0
    name: str = Field(default="attack", exclude=True)

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the models and the guard."""
        programs = () if self.program is None else (self.program,)
        return (self.original, *programs, self.build, *self._guards())

    def _guards(self) -> tuple[GuardRecipe, ...]:
        if self.coverage is None:
            return ()
        return (GuardRecipe(build=self.build, images=self.images, coverage=self.coverage),)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Calibrate, attack, and write the result into `folder`."""
        guard = next((one.open(store, progress) for one in self._guards()), None)
        program = None
        if self.program is not None:
            program = Program.load(store.get(self.program, progress) / "program.safetensors")
        original = open_original(self.original, store, progress)
        pair = Pair(original, program, opened_build(self.build, store, progress), guard=guard)
        splits = open_splits(self.images)
        images = splits.validation if self.split == "validation" else splits.test
        trial = self._measured(pair, images, guard, progress)
        write_whole(folder / _TRIAL, trial.model_dump_json(indent=2) + "\n")

    def open(self, store: Store, progress: Progress) -> TrialPart:
        """Read the result, measured when missing."""
        return read_document(TrialPart, store.get(self, progress) / _TRIAL)

    def _measured(self, pair: Pair, images: ImageSet, guard: Guard | None, progress: Progress) -> TrialPart:
        whole = select(pair, images, eligible_only=False)
        coverage, accuracy = worth(whole.build, images.labels, guard)
        chosen = drawn(eligible(whole.original, whole.build, images.labels), self.count, self.draw)
        if len(chosen.index) == 0:
            raise InputError(
                f"none of the {len(images)} images is labelled correctly by both models; nothing to attack"
            )
        reached = partial(self._reached, pair, images.select(chosen.index), steering_of(pair), progress)
        evasive = reached(self.attack)
        certified = self._certified(pair, images.select(chosen.index[: self.certifying]), guard, progress)
        abstained: dict[int, Interval] = {}
        if self.abstaining and guard is not None and guard.threshold > 0:
            abstained = reached("default", goal="abstain")
        return TrialPart(
            wanted=self.coverage,
            guard=guard,
            coverage=coverage,
            accuracy=accuracy,
            reach=tuple(
                ReachPart(
                    epsilon=epsilon,
                    evasive=evasive[epsilon],
                    abstained=abstained.get(epsilon),
                    certified=certified.get(epsilon),
                )
                for epsilon in self.epsilons
            ),
        )

    def _certified(self, pair: Pair, images: ImageSet, guard: Guard | None, progress: Progress) -> dict[int, Interval]:
        """Certify images at each epsilon, those alone that are certified at the smaller ones: a larger box has more.

        There are no certificates for networks with an operator without bounds.
        """
        found: dict[int, Interval] = {}
        left, threshold = images, 0.0 if guard is None else guard.threshold
        for epsilon in sorted(self.epsilons) if len(images) else ():
            if len(left):
                try:
                    proof = certify(pair, left, epsilon=epsilon, eligible_only=False, progress=progress)
                except ModelError:
                    return {}
                left = left.select(proof.index[proof.certified(threshold)])
            found[epsilon] = interval(Rate(len(left), len(images)))
        return found

    def _reached(
        self, pair: Pair, images: ImageSet, steering: Steering, progress: Progress, attack: str, **changes: Any
    ) -> dict[int, Interval]:
        def told(task: str, done: int, total: int, note: str = "") -> None:
            progress(self.name, done, total, note)

        found = curve(
            pair, images, self.epsilons, attack, steps=self.steps, steering=steering, progress=told, **changes
        )
        return dict(zip(found.epsilons, map(interval, found.rates), strict=True))


def steering_of(pair: Pair) -> Steering:
    """Steer by the pair's twin, or by the build's answers where nothing gives one."""
    try:
        return pair.white_box()
    except InputError:
        return pair.black_box()


def worth(answers: Tensor, labels: Tensor, guard: Guard | None) -> tuple[Interval, Interval]:
    """Measure the coverage of a guard on answers `[N,K]`, and the accuracy of what is answered."""
    right = answers.argmax(1) == labels
    answered = right.new_ones(len(right)) if guard is None else guard.answers(answers)
    found = selective(answered, right)
    if found.accuracy is None:
        raise InputError("the guard answers none of the images; give it a higher coverage")
    return interval(found.coverage), interval(found.accuracy)
