"""What a search has to reach in a build's logits, written so that every objective pulls there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from edgerift.evade._attack import Attack
from edgerift.specification import Guard


@final
@dataclass(frozen=True)
class Aim:
    """Logits as an attack sees them: the label's score is set so that its margin is negative where the build falls.

    Without a guard a wrong best class is enough, and logits stay as they are. With a guard the best class, a wrong one,
    has to lead all others by `threshold`, the second-best wrong class among them: the label's score becomes that of the
    runner-up plus the threshold. To make a build abstain the gap of its two best scores has to fall below the
    threshold: the margin becomes their difference. With rivals only one wrong class per image counts.
    """

    threshold: float = 0.0
    abstains: bool = False

    @classmethod
    def of(cls, attack: Attack, guard: Guard | None) -> Aim:
        """Aim at an attack's goal against a build with this guard."""
        return cls(0.0 if guard is None else guard.threshold, attack.goal == "abstain")

    def __call__(self, logits: Tensor, labels: Tensor, rivals: Tensor | None = None) -> Tensor:
        """Rewrite logits `[N,K]` for labels and, where one wrong class is aimed at, rivals int64 `[N]`."""
        if rivals is None and not self.abstains and self.threshold == 0:
            return logits
        rows = labels[:, None]
        own, wrong = logits.gather(1, rows)[:, 0], logits.scatter(1, rows, -torch.inf)
        if rivals is not None:
            others = logits.scatter(1, rivals[:, None], -torch.inf).amax(1)
            wrong = torch.full_like(logits, -torch.inf).scatter(1, rivals[:, None], logits.gather(1, rivals[:, None]))
            return wrong.scatter(1, rows, (others + self.threshold)[:, None])
        # Sorted and not topk, whose choice among equal scores depends on the batch.
        first, second = wrong.sort(dim=1, descending=True, stable=True).values[:, :2].unbind(1)
        runner_up = torch.maximum(own, second)
        if self.abstains:
            gap = torch.where(own >= first, own - first, first - runner_up)
            return logits.scatter(1, rows, (first + gap - self.threshold)[:, None])
        return logits.scatter(1, rows, (runner_up + self.threshold)[:, None])


def is_fooled(build: Tensor, labels: Tensor, guard: Guard | None = None) -> Tensor:
    """Tell which images the build answers wrongly, bool `[N]`, from its scores `[N,K]`."""
    wrong = build.argmax(1) != labels
    return wrong if guard is None else wrong & guard.answers(build)


def rivals(build: Tensor, labels: Tensor, rank: int) -> Tensor:
    """Find the wrong class with the `rank`-th highest score `[N,K]`, int64 `[N]`; the last one where there are fewer.

    >>> rivals(torch.tensor([[5.0, 1.0, 3.0]]), torch.tensor([0]), 2)
    tensor([1])
    """
    order = build.scatter(1, labels[:, None], -torch.inf).argsort(dim=1, descending=True, stable=True)
    return order[:, min(rank, build.shape[1] - 1) - 1]
