"""The objectives of the DIVA paper, on softmax probabilities."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor

from edgerift.evade._objective import ObjectiveSettings, objective, probability
from edgerift.settings import ClassNumber


@objective
class Diva(ObjectiveSettings):
    """p_original[y] - c * sum over the builds of p_build[y], on softmax probabilities.

    With one build this is the objective of Hao et al., "A Tale of Two Models: Constructing Evasive Attacks on Edge
    Models", MLSys 2022, https://arxiv.org/abs/2204.10933; `c` weighs fooling the build against keeping the original.

    >>> logits = torch.tensor([[0.0, 0.0]])
    >>> Diva(c=0.5)(logits, (logits,), torch.tensor([1]))
    tensor([0.2500])
    """

    type: Literal["diva"] = "diva"
    c: NonNegativeFloat = 1.0

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`."""
        kept = probability(original, labels)
        return kept - self.c * sum(probability(logits, labels) for logits in adapted)


@objective
class TargetedDiva(ObjectiveSettings):
    """p_original[y] - c * p_build[y] - weight * CE(target, p_build), summed over the builds: towards one wrong class.

    The targeted variant that the DIVA authors run on faces, with weight 100; success then requires that the build
    answers `target`.
    """

    type: Literal["targeted-diva"] = "targeted-diva"
    target: ClassNumber
    c: NonNegativeFloat = 1.0
    weight: NonNegativeFloat = 100.0

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`."""
        value = probability(original, labels)
        wanted = torch.full_like(labels, self.target)
        for logits in adapted:
            value = value - self.c * probability(logits, labels)
            value = value - self.weight * F.cross_entropy(logits, wanted, reduction="none")
        return value

    @property
    def wanted(self) -> int | None:
        """The target."""
        return self.target
