"""Mixup: training on weighted means of two images and of their targets."""

from __future__ import annotations

import random
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Mixture(NamedTuple):
    """The weight of each image, in [0.5, 1], and which other image of the batch has the rest: int64 `[B]`."""

    weight: float
    others: Tensor


def mixture(count: int, alpha: float, weights: random.Random, draws: torch.Generator) -> Mixture:
    """Draw how a batch is mixed: the weight of a Beta(alpha, alpha), as in Zhang et al. 2018 (arXiv:1710.09412).

    Of the weight and what it leaves to 1 the larger is taken: with partners in random order it is the same, and an
    image's label stays that of its larger part.
    """
    drawn = weights.betavariate(alpha, alpha)
    return Mixture(max(drawn, 1 - drawn), torch.randperm(count, generator=draws))


def mixed(images: Tensor, targets: Tensor, classes: int, chosen: Mixture) -> tuple[Tensor, Tensor]:
    """Mix float images `[B,C,H,W]` and their targets, labels `[B]` or rows `[B,K]`: both, the targets as rows.

    >>> images, labels = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), torch.tensor([0, 1])
    >>> mixed(images, labels, 2, Mixture(0.75, torch.tensor([1, 0])))[1]
    tensor([[0.7500, 0.2500],
            [0.2500, 0.7500]])
    """
    rows = targets if targets.is_floating_point() else F.one_hot(targets, classes).to(images.dtype)
    others = chosen.others.to(images.device)
    return images.lerp(images[others], 1 - chosen.weight), rows.lerp(rows[others], 1 - chosen.weight)
