"""Where DivQAT's loss itself is least: what a model that answers each image freely would do, in closed form.

Let L be the original's posterior of an image, y its label, j the class with the smallest posterior, and M the log of
L_y / L_j. With L_y near 1, the best answer puts 1 - s on y and s on j, and its loss is, but for a constant,

    J(s) = -log(1 - s) - alpha ((1 - s) log(1 - s) + s log s + s M).

It moves the posterior by an l1 of 2 s. A training need not reach it: s = 0 is a minimum of its own for small s.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GRID = 2000


def moved_least_loss(margins: Tensor, alpha: float) -> Tensor:
    """Find the s `[N]` in [0, 1) of the least loss, on a grid of 1/2000, for the margins M `[N]`.

    >>> moved_least_loss(torch.tensor([5.0, 10.0]), 0.3).tolist()
    [0.0, 0.6...]
    """
    share = torch.arange(_GRID, dtype=torch.float64) / _GRID
    entropy = torch.special.xlogy(1 - share, 1 - share) + torch.special.xlogy(share, share)
    base = -torch.log1p(-share) - alpha * entropy
    # The grid is walked once: its length times the number of images would not fit into memory.
    best = torch.full((len(margins),), float("inf"), dtype=torch.float64)
    found = torch.zeros(len(margins), dtype=torch.float64)
    for s, own in zip(share.tolist(), base.tolist(), strict=True):
        loss = own - alpha * s * margins.double()
        is_less = loss < best
        best, found = torch.where(is_less, loss, best), torch.where(is_less, s, found)
    return found


def optimum_l1(posteriors: Tensor, labels: Tensor, alpha: float) -> float:
    """Compute the mean l1 of the least loss over the images `[N,K]` that the original gets right."""
    right = posteriors.argmax(1) == labels
    own = posteriors[right].double()
    margins = own.amax(1).log() - own.amin(1).clamp_min(torch.finfo(torch.float64).tiny).log()
    return float(2 * moved_least_loss(margins, alpha).mean())
