"""Optimisers of the data-free attacks, and their learning rates."""

from __future__ import annotations

import math

import torch
from torch import nn

from edgerift.extract._parts import Descent


def optimizer(module: nn.Module, descent: Descent) -> torch.optim.Optimizer:
    """Make the optimiser of a network."""
    if descent.optimizer == "adam":
        return torch.optim.Adam(module.parameters(), lr=descent.learning_rate, fused=True)
    return torch.optim.SGD(
        module.parameters(),
        lr=descent.learning_rate,
        momentum=descent.momentum,
        weight_decay=descent.weight_decay,
        fused=True,
    )


def learning_rate(descent: Descent, iteration: int, total: int) -> float:
    """Compute the learning rate of an iteration, from 0, out of `total`.

    >>> [round(learning_rate(Descent(), iteration, 10), 6) for iteration in (0, 1, 3, 9)]
    [0.1, 0.03, 0.009, 0.0027]
    """
    share = iteration / total
    if descent.schedule == "cosine":
        return descent.learning_rate * (1 + math.cos(math.pi * share)) / 2
    passed = sum(share >= milestone for milestone in descent.milestones) if descent.schedule == "steps" else 0
    return descent.learning_rate * descent.factor**passed


def set_learning_rate(chosen: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all of an optimiser's parameters."""
    for group in chosen.param_groups:
        group["lr"] = rate
