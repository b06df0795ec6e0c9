"""Who decides: the build, queried with uint8 images, and the original wherever the build was wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from edgerift.deploy import module_logits
from edgerift.errors import ModelError
from edgerift.evade._aim import is_fooled
from edgerift.evade._attack import Attack
from edgerift.evade._pair import Victim
from edgerift.specification import Guard

_TOP = 5


def is_evasive(original: Tensor, build: Tensor, labels: Tensor, attack: Attack, guard: Guard | None = None) -> Tensor:
    """Tell which images evade, bool `[N]`, from both models' scores `[N,K]`: the original right, the build wrong.

    With a `guard` the build also has to answer. With a target class its answer has to be that; with the goal `top5` it
    is none of the original's five best, counted by class number. With the goal `abstain` the build gives no answer.
    """
    falls = _build_falls(build, labels, attack, guard)
    return (original.argmax(1) == labels) & falls & _reaches_goal(original, build, attack)


def guard_of(victim: object) -> Guard | None:
    """Return the guard of what is attacked; None for one that answers every image."""
    guard: Guard | None = getattr(victim, "guard", None)
    return guard


def is_beyond_top5(original: Tensor, build: Tensor) -> Tensor:
    """Tell where the build's answer is none of the original's five best, bool `[N]`, from scores `[N,K]`."""
    best = original.topk(min(_TOP, original.shape[1]), 1).indices
    return ~(best == build.argmax(1)[:, None]).any(1)


@final
@dataclass(frozen=True)
class Verdicts:
    """What the judges said of some images: bool `[N]` each; `asked_original` where the original had to be asked.

    `original` holds its logits `[N,K]` there, and NaN elsewhere.
    """

    fooled: Tensor
    evasive: Tensor
    asked_original: Tensor
    original: Tensor


@final
class Judge:
    """Asks the build about every image it is given, and the original only where the build is wrong.

    During a search the original is a folded copy, which answers alike but for rounding; what a search reports is
    judged again by the original itself.
    """

    def __init__(self, victim: Victim, attack: Attack) -> None:
        """Prepare to judge for an attack's goal."""
        self._victim = victim
        self._attack = attack
        self._guard = guard_of(victim)
        self._original = module_logits(victim.folded_original, "the original")

    def ask(self, images: Tensor, labels: Tensor) -> Verdicts:
        """Judge uint8 images `[N,C,H,W]` with labels `[N]`, both on the CPU."""
        build = finite(self._victim.build_scores(images, labels), "build")
        fooled = is_fooled(build, labels, self._guard)
        asked = _build_falls(build, labels, self._attack, self._guard)
        evasive, original = torch.zeros_like(fooled), torch.full_like(build, torch.nan)
        if asked.any():
            rows = asked.nonzero()[:, 0]
            original[rows] = finite(self._original(images.index_select(0, rows)), "original").cpu()
            evasive[rows] = is_evasive(original[rows], build[rows], labels[rows], self._attack, self._guard)
        return Verdicts(fooled, evasive, asked, original)


def finite(scores: Tensor, whose: str) -> Tensor:
    """Return scores that are finite; raises :class:`~edgerift.errors.ModelError` for others."""
    if not bool(scores.isfinite().all()):
        raise ModelError(f"the {whose} answered NaN or infinite scores to an attacked image; check the model's weights")
    return scores


def _build_falls(build: Tensor, labels: Tensor, attack: Attack, guard: Guard | None) -> Tensor:
    if attack.goal == "abstain":
        return torch.zeros(len(build), dtype=torch.bool) if guard is None else ~guard.answers(build)
    wrong = is_fooled(build, labels, guard)
    return wrong if attack.target is None else wrong & (build.argmax(1) == attack.target)


def _reaches_goal(original: Tensor, build: Tensor, attack: Attack) -> Tensor:
    if attack.goal == "top5":
        return is_beyond_top5(original, build)
    return torch.ones(len(build), dtype=torch.bool)
