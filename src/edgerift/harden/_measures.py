"""From a victim and the attacks on it to the figures of a comparison."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, TypeAlias, final

from torch import Tensor, nn

from edgerift.adapt import AdaptRecipe, GivenOriginal
from edgerift.defend import Defence, defended
from edgerift.deploy import Build, BuildRecipe, Program, twin, twin_scores
from edgerift.extract import QuerySettings, Theft, Victim, open_victim, posteriors
from edgerift.harden._document import BestEpochs, DataPart, NoisePart, PaperRow, Thieves, TimesPart, VariantPart
from edgerift.harden._timing import TIMED, added_milliseconds, in_turns, median_ratio
from edgerift.harden._variants import MadeVariant, VariantMaker
from edgerift.harden._verdict import variant_verdict
from edgerift.images import ImageSet, ImagesSettings, ThreeWay, open_splits
from edgerift.measure import (
    agreement,
    interval,
    mean_interval,
    posterior_kl,
    posterior_l1,
    reliability,
)
from edgerift.steps import Progress
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

Thefts: TypeAlias = dict[Literal["soft", "hard"], Theft]


@final
class Bench:
    """What every variant is measured with, each made once: images, queries and the reference answers."""

    def __init__(
        self,
        images: ImagesSettings,
        queries: QuerySettings,
        reference: BuildRecipe,
        original: TrainRecipe | GivenOriginal,
        store: Store,
        progress: Progress,
    ) -> None:
        """Take the plain quantization-aware build as the reference."""
        self._images, self._queries = images, queries
        self._reference, self._original = reference, original
        self._store, self._progress = store, progress

    @cached_property
    def splits(self) -> ThreeWay:
        """The victim's images."""
        return open_splits(self._images)

    @cached_property
    def data(self) -> DataPart:
        """What is said of the victim's images."""
        return data_part(self._images, self.splits)

    @cached_property
    def queries(self) -> ImageSet:
        """The images that attackers may query."""
        return self._queries.open()

    @cached_property
    def reference(self) -> tuple[Tensor, Tensor]:
        """The reference's answers `[N,K]` to the test images and to the queries."""
        return self.answers(self._reference)

    @cached_property
    def original_test(self) -> Tensor:
        """The original's answers to the test images."""
        return posteriors(open_victim(self._original, self._store, self._progress), self.splits.test.images)

    @cached_property
    def original_validation(self) -> Tensor:
        """The original's answers to the validation images."""
        return posteriors(open_victim(self._original, self._store, self._progress), self.splits.validation.images)

    def answers(self, victim: Victim, defences: Sequence[Defence] = ()) -> tuple[Tensor, Tensor]:
        """Query a victim with the test images and the attacker's queries."""
        opened = open_victim(victim, self._store, self._progress)
        test = posteriors(opened, self.splits.test.images)
        questions = posteriors(opened, self.queries.images)
        return (
            defended(test, defences, self.splits.test.images),
            defended(questions, defences, self.queries.images),
        )

    def times(self, variant: MadeVariant) -> TimesPart | None:
        """Measure the latency per test image: the variant's own, and the deployed one in turns with the plain build's.

        Returns None for an original, which is not deployed.
        """
        if isinstance(variant.victim, TrainRecipe | GivenOriginal):
            return None
        images = self.splits.test.images[:TIMED]
        plain, own = (open_victim(victim, self._store, self._progress) for victim in (self._reference, variant.victim))

        def ask(build: Build | nn.Module, defences: Sequence[Defence], place: int) -> None:
            asked = images[place : place + 1]
            defended(posteriors(build, asked), defences, asked)

        ways = {"plain": partial(ask, plain, ()), "defended": partial(ask, own, variant.defences)}
        times = in_turns(ways, len(images))
        # Timed separately: a build queried twice in a variant answers the second time from its cache.
        bare = in_turns({"answer": partial(ask, own, ())}, len(images))["answer"]
        return TimesPart(
            answer_milliseconds=statistics.median(bare),
            defence_milliseconds=added_milliseconds(posteriors(own, images), variant.defences, images),
            slowdown=median_ratio(times["defended"], times["plain"]),
        )

    def shipped_bytes(self, variant: MadeVariant) -> int | None:
        """Return the size of a variant's build and of its defences' networks; None for an original."""
        if isinstance(variant.victim, TrainRecipe | GivenOriginal):
            return None
        return (
            self.network_bytes(variant)
            + (self._store.get(variant.victim, self._progress) / variant.victim.artefact).stat().st_size
        )

    def network_bytes(self, variant: MadeVariant) -> int:
        """Return the size of the networks that a variant's defences look at images with."""
        test = self.splits.test
        return sum(defence.network_bytes(len(test.classes), test.shape) for defence in variant.defences)

    def twin_answers(self, program: AdaptRecipe) -> tuple[Tensor, Tensor]:
        """Query a program's twin, where no build is needed."""
        path = self._store.get(program, self._progress) / "program.safetensors"
        model = twin(Program.load(path))
        test, questions = (twin_scores(model, asked.images).softmax(1) for asked in (self.splits.test, self.queries))
        return test, questions


def victim_part(
    variant: MadeVariant, bench: Bench, thefts: Thefts, plain: VariantPart | None, printed: PaperRow | None
) -> VariantPart:
    """Measure one variant against the plain quantization-aware one, `plain`, which is None for that variant itself.

    `printed` holds the paper's figures for the variant.
    """
    test, questions = bench.answers(variant.victim, variant.defences)
    near_test, near_questions = bench.reference
    top = test.topk(2, dim=1).values.double().mean(0)
    labels = bench.splits.test.labels
    soft, hard = thefts["soft"], thefts["hard"]
    part = VariantPart(
        title=variant.title,
        strength=variant.strength,
        defences=variant.defences,
        defender_error=soft.defender_error,
        l1=mean_interval(posterior_l1(test, near_test)),
        l1_queries=mean_interval(posterior_l1(questions, near_questions)),
        changed=interval(agreement(test, near_test).complement),
        divergence=mean_interval(posterior_kl(test, bench.original_test)),
        calibration_error=soft.calibration_error,
        negative_log_likelihood=soft.negative_log_likelihood,
        top1=float(top[0]),
        top2=float(top[1]),
        reliability=reliability(test, labels),
        adversary_error=Thieves(soft=soft.adversary_error, hard=hard.adversary_error),
        disagreement=Thieves(soft=soft.disagreement, hard=hard.disagreement),
        best_epoch=BestEpochs(soft=soft.best_epoch, hard=hard.best_epoch),
        paper=printed,
        shipped_bytes=bench.shipped_bytes(variant),
        network_bytes=bench.network_bytes(variant),
        verdict="",
    )
    return part.replace(verdict=variant_verdict(part, plain, bench.data.guessing))


def noise_part(victims: VariantMaker, bench: Bench) -> NoisePart:
    """Measure the distance between two plain quantization-aware models of different seeds."""
    first, second = (bench.twin_answers(victims.adapted("qat", shift)) for shift in (0, 1))
    return NoisePart(
        test=mean_interval(posterior_l1(first[0], second[0])),
        queries=mean_interval(posterior_l1(first[1], second[1])),
    )


def data_part(described: ImagesSettings, splits: ThreeWay) -> DataPart:
    """Describe the victim's images."""
    return DataPart(
        name=splits.test.name,
        source=described.source,
        size=splits.test.shape.size,
        seed=described.seed,
        fingerprint=described.fingerprint,
        classes=splits.test.classes,
        validation=len(splits.validation),
        test=len(splits.test),
        most_common=float(splits.test.labels.bincount().max()) / len(splits.test),
    )
