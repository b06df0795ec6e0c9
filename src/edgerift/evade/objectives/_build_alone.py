"""Baselines that use the build alone."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from pydantic import NonNegativeFloat
from torch import Tensor

from edgerift.evade._objective import ObjectiveSettings, objective, total
from edgerift.measure import margin


@objective
class CrossEntropy(ObjectiveSettings):
    """CE(y, p_build), summed over the builds; the original is ignored (PGD, Madry et al., ICLR 2018)."""

    type: Literal["cross-entropy"] = "cross-entropy"
    reads_original: ClassVar[bool] = False

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`; `original` may be empty."""
        return total([F.cross_entropy(logits, labels, reduction="none") for logits in adapted])


@objective
class Margin(ObjectiveSettings):
    """max_{k != y} z_k - z_y of the builds' logits, clamped at `confidence` (Carlini and Wagner, S&P 2017).

    The original is ignored.
    """

    type: Literal["margin"] = "margin"
    confidence: NonNegativeFloat = 1.0
    reads_original: ClassVar[bool] = False

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`; `original` may be empty."""
        return total([(-margin(logits, labels)).clamp(max=self.confidence) for logits in adapted])
