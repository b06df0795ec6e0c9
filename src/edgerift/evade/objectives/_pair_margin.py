"""The margins of both models, in logits."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from edgerift.evade._objective import ObjectiveSettings, objective
from edgerift.measure import margin


@objective
class PairMargin(ObjectiveSettings):
    """min(m_original, keep) - sum over the builds of max(m_build, -fool), with the margins m = z_y - max_{k != y} z_k.

    Either side stops pulling once it is satisfied: the original right by `keep`, the build wrong by `fool`, in logits.
    """

    type: Literal["pair-margin"] = "pair-margin"
    keep: NonNegativeFloat = 1.0
    fool: NonNegativeFloat = 1.0
    has_sides: ClassVar[bool] = True

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`."""
        kept = margin(original, labels).clamp(max=self.keep)
        return kept - sum(margin(logits, labels).clamp(min=-self.fool) for logits in adapted)

    def sides(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute both margins `[N]`, the original's and the most robust build's, without clamps."""
        holding = torch.stack([margin(logits, labels) for logits in adapted]).amax(0)
        return margin(original, labels), holding
