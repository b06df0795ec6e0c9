"""How each variant of a comparison is made: its program and its output defence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, final

from pydantic import Field

from edgerift.adapt import (
    AdaptRecipe,
    Allowance,
    AttemptRecipe,
    Divqat,
    GivenOriginal,
    HardenedRecipe,
    QatSettings,
    TrainedDefence,
    TunedRecipe,
)
from edgerift.defend import Defence
from edgerift.deploy import BuildRecipe, RuntimeName, Target
from edgerift.harden._answers import NetworkRecipe, TunedAnswersRecipe
from edgerift.harden._misleading import MisleadingRecipe
from edgerift.harden._variant import VARIANTS, DefenceFields, Variant, VariantName
from edgerift.images import ImagesSettings
from edgerift.settings import Settings, is_empty
from edgerift.steps import Progress
from edgerift.train import TrainRecipe, TrainSettings

if TYPE_CHECKING:
    from edgerift.steps import Store

#: The share of the budget that a joint defence gives to the training.
_JOINT_SHARE: Final = 0.5


@final
class VariantMaker(Settings):
    """What all variants of a comparison share: the original, its images, and what a defence may cost.

    `answers` gives output defences by name other fields than their own, such as a `gamma`.
    """

    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]
    images: ImagesSettings
    target: Target
    runtime: RuntimeName
    settings: QatSettings
    allowance: Allowance
    alpha: float | None = None
    answers: tuple[tuple[str, DefenceFields], ...] = Field(default=(), exclude_if=is_empty)

    def adapted(self, method: Literal["ptq", "qat"], seed_shift: int = 0) -> AdaptRecipe:
        """Describe the undefended program, or one of another training seed."""
        train = self.settings.train.replace(seed=self.settings.train.seed + seed_shift)
        return AdaptRecipe(
            original=self.original,
            images=self.images,
            method=method,
            target=self.target,
            settings=self.settings.replace(train=train),
        )

    def hardened(
        self, defence: TrainedDefence, *, stage: Literal["quantized", "float"] = "quantized"
    ) -> HardenedRecipe:
        """Describe a training with a defence."""
        return HardenedRecipe(
            original=self.original,
            images=self.images,
            defence=defence,
            stage=stage,
            target=self.target,
            settings=self.settings,
        )

    def attempted(self, alpha: float) -> AttemptRecipe:
        """Describe the training of DivQAT at one alpha, which may diverge."""
        return AttemptRecipe(hardened=self.hardened(Divqat(alpha=alpha)))

    def tuned(self, name: VariantName) -> TunedRecipe | None:
        """Describe the search for a variant's training-time strength; None if there is none."""
        variant = VARIANTS[name]
        if variant.training is None or self._given_alpha(variant) is not None:
            return None
        hardened = self.hardened(variant.training, stage=variant.stage)
        share = _JOINT_SHARE if variant.is_joint else 1.0
        highest = self.allowance.high if variant.highest is None else variant.highest
        return TunedRecipe(
            hardened=hardened, allowance=self.allowance.replace(l1=share * self.allowance.l1, high=highest)
        )

    def build(self, program: AdaptRecipe | HardenedRecipe | TunedRecipe) -> BuildRecipe:
        """Describe the build of a program."""
        return BuildRecipe(program=program, runtime=self.runtime)

    def victim(self, name: VariantName) -> TrainRecipe | GivenOriginal | BuildRecipe:
        """Describe the model of a variant: a build, or the original itself."""
        variant = VARIANTS[name]
        if variant.base == "original":
            return self.original
        search, alpha = self.tuned(name), self._given_alpha(variant)
        if search is not None:
            return self.build(search)
        if variant.training is not None and alpha is not None:
            return self.build(self.hardened(variant.training.with_strength(alpha), stage=variant.stage))
        return self.build(self.adapted(variant.base))

    def choosing(self, name: VariantName) -> tuple[TunedRecipe | TunedAnswersRecipe, ...]:
        """Describe the steps that choose a variant's strengths: of the training, then of the output defence."""
        search, answers = self.tuned(name), VARIANTS[name].answers
        steps: tuple[TunedRecipe | TunedAnswersRecipe, ...] = () if search is None else (search,)
        if answers is None:
            return steps
        build = self.victim(name)
        assert isinstance(build, BuildRecipe)
        reference = self.build(self.adapted("qat"))
        return (
            *steps,
            TunedAnswersRecipe(
                defence=answers,
                build=build,
                reference=reference,
                images=self.images,
                budget_l1=self.allowance.l1,
                fields=tuple({**dict(VARIANTS[name].fields), **dict(dict(self.answers).get(answers, ()))}.items()),
                network=self._network(VARIANTS[name]),
            ),
        )

    def made(self, name: VariantName, store: Store, progress: Progress) -> MadeVariant:
        """Make a variant: search for its training-time strength, then for that of its output defence.

        A joint variant gives half of the l1 budget to the training; the output defence then takes what is left of the
        whole, measured against the plain quantization-aware build on the validation images.
        """
        variant = VARIANTS[name]
        made = MadeVariant(
            name=name, title=variant.title, victim=self.victim(name), strength=self._given_alpha(variant)
        )
        for step in self.choosing(name):
            if isinstance(step, TunedRecipe):
                made = made.replace(strength=step.search(store, progress).chosen)
            else:
                found = step.open(store, progress)
                made = made.replace(defences=found.defences, keeps_labels=found.keeps_labels)
        return made

    def _network(self, variant: Variant) -> NetworkRecipe | None:
        if variant.network != "misleading":
            return None if variant.network is None else self.original
        trained = self.original.settings if isinstance(self.original, TrainRecipe) else TrainSettings()
        # To be wrong is learned sooner than to be right.
        return MisleadingRecipe(
            original=self.original, images=self.images, settings=trained.replace(epochs=-(-trained.epochs // 5))
        )

    def _given_alpha(self, variant: Variant) -> float | None:
        return self.alpha if variant.takes_alpha else None


class MadeVariant(Settings):
    """A variant that is ready to be attacked; `victim` is a build or the original.

    `keeps_labels`: its output defences cannot change any label.
    """

    name: VariantName
    title: str
    victim: TrainRecipe | GivenOriginal | BuildRecipe
    defences: tuple[Defence, ...] = ()
    strength: float | None = None
    keeps_labels: bool = True
