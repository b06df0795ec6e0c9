"""Selective classification: how far apart the two best scores are, and what a classifier that may abstain is worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from edgerift.errors import InputError
from edgerift.measure._rate import Rate


def score_gap(scores: Tensor) -> Tensor:
    """Compute how far the best score is above the second best, `[N]` of scores `[N,K]`; infinity with one class.

    >>> score_gap(torch.tensor([[1.0, 3.0, 2.5]]))
    tensor([0.5000])
    """
    if scores.shape[1] < 2:
        return scores.new_full((len(scores),), torch.inf)
    best = scores.topk(2, 1).values
    return best[:, 0] - best[:, 1]


@final
@dataclass(frozen=True)
class Selective:
    """What a classifier that may abstain is worth: the share of images answered, and the accuracy on these.

    `accuracy` is None where no image was answered.
    """

    coverage: Rate
    accuracy: Rate | None


def selective(answered: Tensor, right: Tensor) -> Selective:
    """Measure a classifier by which images it answered and on which it is right, bool `[N]` each.

    Raises `InputError` for other shapes, and without images.

    >>> print(selective(torch.tensor([True, True, False]), torch.tensor([True, False, True])).accuracy)
    50.0 % [1.3, 98.7] (1 of 2)
    """
    if answered.shape != right.shape or answered.ndim != 1:
        raise InputError(
            f"answered {list(answered.shape)} and right {list(right.shape)}; needed: one of each per image"
        )
    kept = int(answered.sum())
    return Selective(
        coverage=Rate(kept, len(answered)),
        accuracy=Rate(int((answered & right).sum()), kept) if kept else None,
    )
