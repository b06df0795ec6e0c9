"""How a change of all images is searched for: several classes at once, each on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Logits: TypeAlias = Callable[[Tensor], Tensor]

#: The share of the steps in which a patch shrinks to its size; in the others its pixels are fixed.
_SHRINKING: Final = 0.6
#: The part of the image that a patch may cover at first, and the steps of the bisection that keeps it within its size.
_FIRST, _HALVINGS = 0.25, 24


class Wanted(NamedTuple):
    """What a change has to reach, for `k` classes at once.

    The model `drive` shall answer images, float32 `[n,C,H,W]` in [0, 1], with each of the classes `targets` `[k]`,
    while `keep` gives them their `labels` `[n]`, which weighs `weight`. Images of the class itself do not count.
    """

    drive: Logits
    keep: Logits
    images: Tensor
    labels: Tensor
    targets: Tensor
    weight: float

    def measured(self, changed: Tensor) -> tuple[Tensor, Tensor]:
        """Measure changed images `[k,n,C,H,W]`: the loss `[k]`, and the share `[k]` on which the change works."""
        shape, flat = changed.shape[:2], changed.flatten(0, 1)
        driven, kept = self.drive(flat), self.keep(flat)
        targets = self.targets[:, None].expand(shape).flatten()
        labels = self.labels[None].expand(shape).flatten()
        losses = F.cross_entropy(driven, targets, reduction="none")
        losses = losses + self.weight * F.cross_entropy(kept, labels, reduction="none")
        works = (driven.argmax(1) == targets) & (kept.argmax(1) == labels)
        counts = (targets != labels).float()
        shares = (counts.view(shape) / counts.view(shape).sum(1, keepdim=True).clamp_min(1)).flatten()
        return (losses * shares).view(shape).sum(1), (works * shares).view(shape).sum(1)


class Patches(NamedTuple):
    """A patch for each class: masks of 0 and 1 `[k,1,H,W]`, and patterns `[k,C,H,W]` in [0, 1]."""

    masks: Tensor
    patterns: Tensor


def search_patches(wanted: Wanted, pixels: int, *, steps: int, learning_rate: float) -> Patches:
    """Search for a patch of so many pixels for each class.

    A soft mask shrinks to that size first; then the pixels that it covers most are fixed, and the pattern is learnt on
    them. The best pattern is kept.
    """
    count, (channels, *extents) = len(wanted.targets), wanted.images.shape[1:]
    covered = torch.zeros(count, 1, *extents).requires_grad_(True)
    painted = torch.zeros(count, channels, *extents).requires_grad_(True)
    optimiser = torch.optim.Adam([covered, painted], learning_rate)
    best, reached = painted.detach().sigmoid(), torch.full((count,), -1.0)
    masks, shrinking = torch.empty(0), max(1, round(_SHRINKING * steps))
    first = max(float(pixels), _FIRST * covered[0].numel())
    for step in range(steps + 1):
        if step < shrinking:
            _shrink(covered, first * (pixels / first) ** (step / shrinking))
        elif step == shrinking:
            masks = _covered_most(covered.detach(), pixels)
        mask, pattern = covered.sigmoid() if step < shrinking else masks, painted.sigmoid()
        changed = wanted.images[None] * (1 - mask)[:, None] + (pattern * mask)[:, None]
        loss, works = wanted.measured(changed)
        if step >= shrinking:
            best = torch.where((works > reached).view(-1, 1, 1, 1), pattern.detach(), best)
            reached = torch.maximum(reached, works)
        optimiser.zero_grad()
        torch.autograd.backward(loss.sum(), inputs=[covered, painted] if step < shrinking else [painted])
        optimiser.step()
    return Patches(masks, best)


def search_bounded(wanted: Wanted, bound: float, *, steps: int, learning_rate: float) -> Tensor:
    """Search for a change of every pixel by at most `bound` for each class, `[k,C,H,W]`: signed steps, best kept."""
    change = torch.zeros(len(wanted.targets), *wanted.images.shape[1:])
    best, reached = change, torch.full((len(change),), -1.0)
    for step in range(steps + 1):
        change = change.detach().requires_grad_(True)
        loss, works = wanted.measured((wanted.images[None] + change[:, None]).clamp(0, 1))
        best = torch.where((works > reached).view(-1, 1, 1, 1), change.detach(), best)
        reached = torch.maximum(reached, works)
        (gradient,) = torch.autograd.grad(loss.sum(), change)
        size = bound * 2 * (1 - step / (steps + 1)) * learning_rate
        change = (change - size * gradient.sign()).clamp(-bound, bound)
    return best


@torch.no_grad()
def _shrink(covered: Tensor, most: float) -> None:
    """Move each mask, given by its logits, as little as it takes to cover no more than so many pixels in sum."""
    below, above = torch.full((len(covered),), -40.0), torch.zeros(len(covered))
    is_larger = covered.sigmoid().flatten(1).sum(1) > most
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        too_large = (covered + middle.view(-1, 1, 1, 1)).sigmoid().flatten(1).sum(1) > most
        below, above = torch.where(too_large, below, middle), torch.where(too_large, middle, above)
    covered += (below * is_larger).view(-1, 1, 1, 1)


def _covered_most(covered: Tensor, pixels: int) -> Tensor:
    places = covered.flatten(1).topk(pixels, 1).indices
    return torch.zeros_like(covered.flatten(1)).scatter_(1, places, 1.0).view(covered.shape)
