"""The judges of success: the build, queried with uint8 images, and the original wherever the build is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from edgerift.deploy import module_logits
from edgerift.errors import ModelError
from edgerift.evade._attack import Attack
from edgerift.evade._pair import Victim

_TOP = 5


def is_evasive(original: Tensor, build: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    """Return which images evade, bool `[N]`, from both models' scores `[N,K]`: the original right, the build wrong.

    With a target class the build has to answer it; with the goal `top5` its answer is not in the original's top 5, ties
    resolved by class number.
    """
    return (original.argmax(1) == labels) & _build_falls(build, labels, attack) & _reaches_goal(original, build, attack)


def is_beyond_top5(original: Tensor, build: Tensor) -> Tensor:
    """Return where the build's answer is not in the original's top 5, bool `[N]`, from scores `[N,K]`."""
    best = original.topk(min(_TOP, original.shape[1]), 1).indices
    return ~(best == build.argmax(1)[:, None]).any(1)


@final
@dataclass(frozen=True)
class Verdicts:
    """The verdicts on some images: bool `[N]` each; `asked_original` where the original was queried."""

    fooled: Tensor
    evasive: Tensor
    asked_original: Tensor


@final
class Judge:
    """Queries the build with every image, and the original only where the build is wrong.

    During a search the original is a folded copy, which is equal up to rounding; what a search reports is judged again
    by the original itself.
    """

    def __init__(self, victim: Victim, attack: Attack) -> None:
        """Prepare to judge for an attack's goal."""
        self._victim = victim
        self._attack = attack
        self._original = module_logits(victim.folded_original, "the original")

    def ask(self, images: Tensor, labels: Tensor) -> Verdicts:
        """Judge uint8 images `[N,3,H,W]` with labels `[N]`, both on the CPU."""
        build = finite(self._victim.build_scores(images, labels), "build")
        fooled = build.argmax(1) != labels
        asked = _build_falls(build, labels, self._attack)
        evasive = torch.zeros_like(fooled)
        if asked.any():
            rows = asked.nonzero()[:, 0]
            original = finite(self._original(images.index_select(0, rows)), "original")
            evasive[rows] = is_evasive(original, build[rows], labels[rows], self._attack)
        return Verdicts(fooled, evasive, asked)


def finite(scores: Tensor, whose: str) -> Tensor:
    """Return scores that are finite; raises :class:`~edgerift.errors.ModelError` for others."""
    if not bool(scores.isfinite().all()):
        raise ModelError(f"the {whose} answered NaN or infinite scores to an attacked image; check the model's weights")
    return scores


def _build_falls(build: Tensor, labels: Tensor, attack: Attack) -> Tensor:
    answer = build.argmax(1)
    wrong = answer != labels
    return wrong if attack.target is None else wrong & (answer == attack.target)


def _reaches_goal(original: Tensor, build: Tensor, attack: Attack) -> Tensor:
    if attack.goal == "top5":
        return is_beyond_top5(original, build)
    return torch.ones(len(build), dtype=torch.bool)
