"""A search without gradients that follows the scores: squares of the image are moved, and what helps is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from edgerift.evade._aim import Aim
from edgerift.evade._attack import Attack
from edgerift.evade._engine import Trace, device_of
from edgerift.evade._judge import Judge, finite, guard_of
from edgerift.evade._pair import Steering, Victim
from edgerift.evade._starts import drawn_from
from edgerift.images import to_float
from edgerift.measure import margin

#: The share of the image that the first squares cover, and the parts of the budget after each of which it halves.
_FIRST: Final = 0.8
_HALVINGS: Final = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def square_trace(
    images: Tensor,
    labels: Tensor,
    attack: Attack,
    *,
    victim: Victim,
    steering: Steering,
    batch_size: int,
    told: Callable[[int], None],
) -> Trace:
    """Search uint8 images `[N,C,H,W]` with labels `[N]` by the answers of the build and of the steering original.

    Each try moves one square, in each channel to an end of the box or anywhere in it, and stays where the smaller of
    the two margins (the original's, and the build's turned round) does not fall. It is that of Andriushchenko et al.,
    "Square Attack", ECCV 2020, for a pair; the start is the image itself. The draw depends on an image's bytes and the
    seed alone.
    """
    search = _Squares(attack, victim, steering)
    parts = []
    for rows in torch.arange(len(images)).split(batch_size):
        parts.append(search.run(images[rows], labels[rows]))
        told(int(rows[-1]) + 1 if len(rows) else 0)
    return Trace(*(torch.cat(values) for values in zip(*(vars(part).values() for part in parts), strict=True)))


class _Squares:
    def __init__(self, attack: Attack, victim: Victim, steering: Steering) -> None:
        self._attack, self._victim, self._steering = attack, victim, steering
        self._judge, self._aim = Judge(victim, attack), Aim.of(attack, guard_of(victim))
        self._device = device_of(steering)

    def run(self, images: Tensor, labels: Tensor) -> Trace:
        """Search one batch; samples that are done are not asked about again."""
        rows, tries = len(images), self._attack.steps
        counts = torch.zeros(4, rows, dtype=torch.int64)
        first, fooled = torch.full((rows,), -1), torch.zeros(rows, dtype=torch.bool)
        trace = Trace(images.clone(), images.clone(), first, fooled, *counts)
        numbers = 3 + 2 * images.shape[1]
        draws = torch.zeros(rows, tries, numbers)
        for row, image in enumerate(images):
            draws[row] = drawn_from(image, (tries, numbers), self._attack.seed)
        level = torch.full((rows,), -torch.inf)
        for taken in range(tries + 1):
            left = (trace.first < 0).nonzero()[:, 0]
            if len(left) == 0:
                break
            candidates = images[left]
            if taken:
                candidates = self._moved(trace.last[left], images[left], draws[left, taken - 1], taken - 1)
            reached = self._asked(candidates, labels[left], left, taken, trace)
            better = reached >= level[left]
            level[left[better]] = reached[better]
            trace.last[left[better]] = candidates[better]
        missed = trace.first < 0
        trace.found[missed] = trace.last[missed]
        return trace

    def _asked(self, candidates: Tensor, labels: Tensor, rows: Tensor, taken: int, trace: Trace) -> Tensor:
        """Ask both sides, note what they say, and return the smaller margin, `[B]`: positive where an image evades."""
        build = finite(self._victim.build_scores(candidates, labels), "build")
        with torch.no_grad():
            original = self._steering.original(to_float(candidates.to(self._device))).cpu()
        against = margin(self._aim(build, labels), labels)
        falls = against <= 0
        trace.build_questions[rows] += 1
        if falls.any():
            fallen = falls.nonzero()[:, 0]
            verdicts = self._judge.ask(candidates[fallen], labels[fallen])
            trace.build_questions[rows[fallen]] += 1
            trace.original_questions[rows[fallen]] += verdicts.asked_original
            trace.fooled[rows[fallen]] |= verdicts.fooled
            hits = fallen[verdicts.evasive]
            trace.first[rows[hits]] = taken
            trace.found[rows[hits]] = candidates[hits]
        return torch.minimum(margin(original, labels), -against)

    def _moved(self, places: Tensor, images: Tensor, draws: Tensor, taken: int) -> Tensor:
        """Move one square of each image `[B,C,H,W]`, by draws `[B,3+2C]` from [0, 1)."""
        _, channels, height, width = images.shape
        side = self._side(taken, height, width)
        epsilon = self._attack.epsilon
        top = (draws[:, 0] * (height - side + 1)).floor()[:, None, None, None]
        left = (draws[:, 1] * (width - side + 1)).floor()[:, None, None, None]
        down, across = torch.arange(height)[None, None, :, None], torch.arange(width)[None, None, None, :]
        inside = (down >= top) & (down < top + side) & (across >= left) & (across < left + side)
        ends = torch.where(draws[:, 3 : 3 + channels] < 0.5, -epsilon, epsilon)
        anywhere = (draws[:, 3 + channels :] * (2 * epsilon + 1)).floor() - epsilon
        move = torch.where(draws[:, 2:3] < 0.5, ends.float(), anywhere)[:, :, None, None]
        moved = (images.float() + move).clamp(0, 255).to(torch.uint8)
        return torch.where(inside, moved, places)

    def _side(self, taken: int, height: int, width: int) -> int:
        share = _FIRST / 2 ** sum(taken >= part * self._attack.steps for part in _HALVINGS)
        return max(1, min(height, width, round(math.sqrt(share * height * width))))
