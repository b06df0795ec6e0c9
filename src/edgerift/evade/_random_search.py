"""A search without gradients: the black-box yardstick that a white-box attack has to beat."""

from __future__ import annotations

import torch
from torch import Tensor

from edgerift.evade._attack import Attack
from edgerift.evade._judge import Judge
from edgerift.evade._pair import Victim
from edgerift.evade._starts import box, project, starts


def random_search(
    victim: Victim, images: Tensor, labels: Tensor, attack: Attack, *, tries: int | None = None
) -> Tensor:
    """Judge random images in each box; tells which images evaded, bool `[N]`.

    Images are uint8 `[N,C,H,W]`, labels int64 `[N]`. Of `attack` count the epsilon, the goal, the target class, the
    seed and, unless `tries` is given, the budget: as many tries an image as there are gradient calls, at least one.
    Half of the tries draw every pixel anywhere in its range, half at one of its ends. The draw depends on the image's
    bytes and the seed alone.
    """
    tries = max(1, attack.steps * attack.restarts) if tries is None else tries
    attack = Attack(
        epsilon=attack.epsilon, goal=attack.goal, objective=attack.objective, seed=attack.seed, start="random"
    )
    judge = Judge(victim, attack)
    found = torch.zeros(len(images), dtype=torch.bool)
    for number in range(tries):
        rows = (~found).nonzero()[:, 0]
        if len(rows) == 0:
            break
        low, high = box(images[rows], attack.epsilon)
        placed = starts(images[rows], [number] * len(rows), attack)
        if number % 2:
            placed = torch.where(placed * 2 < low + high, low, high)
        found[rows] = judge.ask(project(placed, low, high), labels[rows]).evasive
    return found
