"""The search for a build that is hard to evade, from cheap means to dear ones, as a step that the store keeps."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

from pydantic import Field

from edgerift.adapt import (
    AdaptRecipe,
    FloatLogitsRecipe,
    GivenOriginal,
    HardenedRecipe,
    QatSettings,
    open_original,
)
from edgerift.deploy import BuildRecipe, RuntimeName, Target
from edgerift.errors import BuildError, QuantizationError
from edgerift.evade import GreyLevels
from edgerift.harden._evasion_document import EvasionHardening, MeansPart, TrialPart
from edgerift.harden._evasion_verdict import Budget, best, chosen_of, evasion_verdict, nearest_of
from edgerift.harden._means import DEFAULT_COVERAGE, DEFAULT_MEANS, MEANS, Means, MeansName
from edgerift.harden._measures import data_part
from edgerift.harden._trial import TrialRecipe
from edgerift.images import ImagesSettings, open_splits
from edgerift.settings import Count, Seed, Times
from edgerift.steps import Progress, Recipe, read_document, write_whole
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

_RESULT: Final = "evasion.json"
#: The shares of images that guards are calibrated to answer, besides the least that the policy allows.
_COVERAGES: Final = (0.995, 0.99, 0.98, 0.95, 0.9)
_EPSILONS: Final = (1, 2, 4, 8)
#: How many of the attacked test images a certificate is tried for.
_CERTIFIED: Final = 100

Share = Annotated[float, Field(ge=0, le=1)]


class Made(NamedTuple):
    """The steps that make the models of one of the means."""

    original: TrainRecipe | GivenOriginal
    program: AdaptRecipe | HardenedRecipe | FloatLogitsRecipe
    build: BuildRecipe


class EvasionHardenRecipe(Recipe):
    """Find the cheapest build whose evasive rate stays within a policy: `evasion.json`, see :class:`EvasionHardening`.

    `means` are tried from cheap to dear, each without a guard and behind guards of several coverages, until one passes
    (`until` the `first`) or to the end (`last`); of those of one means that pass the lowest bound of the evasive rate
    is taken. On the validation images the upper bound of the evasive rate within `epsilon` has to be at most `evasive`,
    the coverage at least `coverage`, and the accuracy of what is answered at most `accuracy_drop` below that of the
    means `undefended` without a guard. `count` images are attacked in each trial, by the attack `selecting`. With
    `surely` it is the lower confidence bound of the coverage that counts. The chosen build is then attacked on the test
    images, at `epsilon` alone, by the attack `judging`, and the undefended one by the attack `selecting`, which is
    enough for a lower bound. Every training and every trial is a step of its own in the store.
    """

    type: Literal["harden-evasion"] = "harden-evasion"
    version: Literal[6] = 6
    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]
    images: ImagesSettings
    target: Target = "mobile"
    runtime: RuntimeName = "executorch"
    settings: QatSettings = Field(default_factory=QatSettings)
    means: tuple[MeansName, ...] = DEFAULT_MEANS
    undefended: MeansName = "qat"
    until: Literal["first", "last"] = "first"
    epsilon: GreyLevels = 8
    evasive: Share = 0.10
    coverage: Annotated[float, Field(gt=0, le=1)] = DEFAULT_COVERAGE
    accuracy_drop: Share = 0.01
    surely: bool = False
    selecting: str = "default"
    judging: str = "pair-attack-1"
    steps: Times = 20
    count: Count | None = 400
    draw: Seed = 0

    @property
    def budget(self) -> Budget:
        """What the policy allows."""
        return Budget(self.epsilon, self.evasive, self.coverage, self.accuracy_drop, self.surely)

    @property
    def epsilons(self) -> tuple[int, ...]:
        """The attackers' epsilons, the policy's own among them."""
        return tuple(sorted({*_EPSILONS, self.epsilon}))

    @property
    def ranked(self) -> tuple[Means, ...]:
        """The means to try, from cheap to dear."""
        return tuple(one for name, one in MEANS.items() if name in self.means)

    def made(self, means: Means) -> Made | None:
        """Describe the models of one of the means; None where it takes an original that edgerift trains."""
        original = means.original(self.original, self.epsilon)
        if original is None:
            return None
        program = means.program(original, self.images, self.target, self.settings, self.epsilon)
        return Made(original, program, BuildRecipe(program=program, runtime=self.runtime))

    def trial(
        self, means: Means, made: Made, wanted: float | None, *, test: bool = False, attack: str = ""
    ) -> TrialRecipe:
        """Describe the attack on one of the means behind one guard, on validation or on test images.

        By default it is the attack that selects, or on test images the one that judges.
        """
        guard = "no guard" if wanted is None else f"coverage {wanted:g}"
        return TrialRecipe(
            original=made.original,
            program=made.program,
            build=made.build,
            images=self.images,
            coverage=wanted,
            epsilons=(self.epsilon,) if test else self.epsilons,
            attack=attack or (self.judging if test else self.selecting),
            steps=self.steps,
            split="test" if test else "validation",
            count=self.count,
            draw=self.draw,
            abstaining=test,
            certifying=_CERTIFIED if test else 0,
            name=f"attack {means.name}, {guard}",
        )

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the undefended build; which others are needed is known as they are tried."""
        made = self.made(MEANS[self.undefended])
        return (self.original,) if made is None else (made.original, made.program, made.build)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Try the means, and write the result into `folder`."""
        write_whole(folder / _RESULT, self._searched(store, progress).model_dump_json(indent=2) + "\n")

    def open(self, store: Store, progress: Progress) -> EvasionHardening:
        """Read the result; search if it is missing."""
        return read_document(EvasionHardening, store.get(self, progress) / _RESULT)

    def _searched(self, store: Store, progress: Progress) -> EvasionHardening:
        plain = self._tried(MEANS[self.undefended], (None,), store, progress)
        assert plain is not None
        reference = plain.trials[0].accuracy.value
        tried = list(self._each_tried(store, progress, reference))
        chosen, nearest = chosen_of(tried, self.budget, reference), nearest_of(tried, self.budget, reference)
        shipped = chosen or nearest
        test = {
            "undefended": self._judged(self.undefended, None, self.selecting, store, progress),
            "hardened": self._judged(shipped.means, shipped.wanted, self.judging, store, progress),
        }
        document = EvasionHardening.model_validate(
            {
                "edgerift": version("edgerift"),
                "model": open_original(self.original, store, progress).architecture.name,
                "target": self.target,
                "runtime": self.runtime,
                "data": data_part(self.images, open_splits(self.images)),
                "epsilon": self.epsilon,
                "evasive": self.evasive,
                "coverage": self.coverage,
                "accuracy_drop": self.accuracy_drop,
                "selecting": self.selecting,
                "judging": self.judging,
                "undefended": self.undefended,
                "tried": tried if any(one.name == plain.name for one in tried) else [plain, *tried],
                "chosen": chosen,
                "nearest": nearest,
                "test": test,
                "verdict": "",
            }
        )
        return document.replace(verdict=evasion_verdict(document))

    def _each_tried(self, store: Store, progress: Progress, reference: float) -> Iterator[MeansPart]:
        coverages = sorted({self.coverage, *_COVERAGES} - {1.0}, reverse=True)
        for means in self.ranked:
            part = self._tried(means, (None, *coverages), store, progress)
            if part is None:
                continue
            yield part
            if self.until == "first" and best(part, self.budget, reference) is not None:
                return

    def _tried(
        self, means: Means, coverages: tuple[float | None, ...], store: Store, progress: Progress
    ) -> MeansPart | None:
        made = self.made(means)
        if made is None:
            return None
        try:
            trials = tuple(self.trial(means, made, wanted).open(store, progress) for wanted in coverages)
        except (BuildError, QuantizationError):
            if means.float_logits:  # Not every network has such a head, and not every runtime takes it.
                return None
            raise
        return MeansPart(name=means.name, title=means.title, trials=trials)

    def _judged(self, name: str, wanted: float | None, attack: str, store: Store, progress: Progress) -> TrialPart:
        means = MEANS[name]
        made = self.made(means)
        assert made is not None
        return self.trial(means, made, wanted, test=True, attack=attack).open(store, progress)
