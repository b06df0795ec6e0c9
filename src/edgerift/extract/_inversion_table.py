"""Undoing a defence that the attacker knows by a table of pairs, and by asking the defence itself what it would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from edgerift.defend import Defence, defended
from edgerift.extract._inversion import Inversion, Pairs

#: The mean is that of this many nearest entries of the table.
_NEAREST: Final = 8
#: Answers that are looked up at a time: their distances to all entries are in memory.
_TOGETHER: Final = 256
_STEPS: Final = 60
_FLOOR: Final = 1e-7
#: Steps that have become shorter than this change nothing that float32 holds.
_SHORTEST: Final = 1e-3


def inversion_table(pairs: Pairs) -> Inversion:
    """Make a table of pairs a map from defended posteriors float32 `[N,K]` to clean ones.

    It answers the mean of the clean posteriors whose defended ones are nearest, weighted by 1 / (squared distance);
    where entries are equal to the answer, the mean of these alone, which is what the clean answer is on average given
    what was seen (the partial Bayes attack of Tang et al. 2024, ModelGuard). Every pair counts in each order of its
    classes in which the defended posteriors fall from class to class as the answer's do, so a defence has to treat all
    classes alike; with one that looks at images this is an approximation.
    """
    order = pairs.changed.argsort(dim=1, descending=True, stable=True)
    changed, clean = pairs.changed.gather(1, order).double(), pairs.clean.gather(1, order).double()

    def invert(answers: Tensor) -> Tensor:
        own = answers.argsort(dim=1, descending=True, stable=True)
        rows = answers.gather(1, own).double().split(_TOGETHER)
        found = torch.cat([_looked_up(part, changed, clean) for part in rows])
        return torch.zeros_like(found).scatter_(1, own, found).float()

    return invert


def refined(answers: Tensor, start: Tensor, defences: Sequence[Defence], images: Tensor | None = None) -> Tensor:
    """Move clean posteriors float32 `[N,K]` until the defences make the answers of them, as near as that goes.

    The logarithms of the posteriors take steps by the difference of the answers' logarithms to those of what the
    defences make of them. A step that does not lessen the l1 distance to the answers is taken back, and the next one is
    half as long. A defence that is invertible near its start is inverted but for rounding; one that loses something
    leaves what the start has of it.
    """
    wanted, best = answers.clamp_min(_FLOOR).log(), start
    made = defended(start, defences, images)
    off, length = (made - answers).abs().sum(1), torch.ones(len(answers), 1)
    for _ in range(_STEPS):
        step = length * (wanted - made.clamp_min(_FLOOR).log())
        tried = (best.clamp_min(_FLOOR).log() + step).softmax(1)
        changed = defended(tried, defences, images)
        distance = (changed - answers).abs().sum(1)
        nearer = distance < off
        best, made = torch.where(nearer[:, None], tried, best), torch.where(nearer[:, None], changed, made)
        off = torch.where(nearer, distance, off)
        length = torch.where(nearer[:, None], length, length / 2)
        if not bool((length > _SHORTEST).any()):
            break
    return best


def _looked_up(rows: Tensor, changed: Tensor, clean: Tensor) -> Tensor:
    distances = torch.cdist(rows, changed, compute_mode="donot_use_mm_for_euclid_dist")
    nearest, places = distances.topk(min(_NEAREST, len(changed)), 1, largest=False)
    weights = nearest.clamp_min(torch.finfo(torch.float64).tiny ** 0.25).pow(-2)
    means = (weights[:, :, None] * clean[places]).sum(1) / weights.sum(1, keepdim=True)
    equal = (distances == 0).double()
    hits = equal.sum(1, keepdim=True)
    return torch.where(hits > 0, equal @ clean / hits.clamp_min(1), means)
