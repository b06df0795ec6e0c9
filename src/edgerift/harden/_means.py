"""Means against evasion, and which there are: each is registered by the module that describes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from edgerift import adapt, train
from edgerift.settings import Registry

if TYPE_CHECKING:
    from edgerift.adapt import (
        AdaptRecipe,
        FloatLogitsRecipe,
        GivenOriginal,
        HardenedRecipe,
        QatSettings,
        TrainedDefence,
    )
    from edgerift.deploy import Target
    from edgerift.images import ImagesSettings
    from edgerift.train import TrainRecipe


@dataclass(frozen=True, kw_only=True)
class Means:
    """One way to make a build that is hard to evade; means are registered in the order of their cost.

    `name` is used in options and documents, `title` in tables. The program is the `base` method's, or is trained with
    the `training` defence; with `float_logits` its last layer is then taken out of the integers. `adversary` names
    the adversary that the original is trained with before, which changes what ships as the original too and takes one
    that edgerift trains.
    """

    name: str
    title: str
    base: Literal["ptq", "qat"] = "qat"
    training: TrainedDefence | None = None
    float_logits: bool = False
    adversary: str | None = None

    def original(self, given: TrainRecipe | GivenOriginal, epsilon: int) -> TrainRecipe | GivenOriginal | None:
        """Describe the original; None where it would have to be trained anew and cannot be."""
        if self.adversary is None:
            return given
        if isinstance(given, adapt.GivenOriginal):
            return None
        return given.replace(settings=given.settings.replace(adversary=train.adversary(self.adversary, epsilon)))

    def program(
        self,
        original: TrainRecipe | GivenOriginal,
        images: ImagesSettings,
        target: Target,
        settings: QatSettings,
        epsilon: int,
    ) -> AdaptRecipe | HardenedRecipe | FloatLogitsRecipe:
        """Describe the program, made of an original for an attacker with this epsilon."""
        adapted = self._adapted(original, images, target, settings, epsilon)
        return adapt.FloatLogitsRecipe(program=adapted) if self.float_logits else adapted

    def _adapted(
        self,
        original: TrainRecipe | GivenOriginal,
        images: ImagesSettings,
        target: Target,
        settings: QatSettings,
        epsilon: int,
    ) -> AdaptRecipe | HardenedRecipe:
        if self.training is None:
            return adapt.AdaptRecipe(
                original=original, images=images, method=self.base, target=target, settings=settings
            )
        return adapt.HardenedRecipe(
            original=original,
            images=images,
            defence=reaching(self.training, epsilon),
            target=target,
            settings=settings,
        )


def reaching(defence: TrainedDefence, epsilon: int) -> TrainedDefence:
    """Give a training defence the attacker's epsilon, where it has one.

    >>> from edgerift.adapt import EvasionTraining
    >>> reaching(EvasionTraining(), 2).epsilon
    2.0
    """
    fields = type(defence).model_fields
    return defence.replace(epsilon=epsilon) if "epsilon" in fields else defence


MEANS: Final[Registry[Means]] = Registry("means", "edgerift.harden.means")


def means(described: Means, *, rank: float) -> Means:
    """Register means under their name, ordered by rank, from cheap to dear."""
    return MEANS.register(described.name, described, rank=rank)


if TYPE_CHECKING:
    MeansName: TypeAlias = str
else:
    MeansName = Literal[MEANS.names()]

#: What is tried by default, and the least share of images that is answered.
DEFAULT_MEANS: Final[tuple[MeansName, ...]] = (
    "ptq",
    "ptq-float",
    "qat",
    "consistency",
    "consistency-float",
    "evasion-float",
)
DEFAULT_COVERAGE: Final = 0.98
