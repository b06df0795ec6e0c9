"""How a change of all images is searched for: several classes at once, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Logits: TypeAlias = Callable[[Tensor], Tensor]

#: Images, and steps, that each place of a patch is tried with before the best one is refined.
_TRIED, _FEW = 16, 8
#: The first step of a pattern's pixels, of their whole range, when its place is tried and when it is refined.
_COARSE, _FINE = 0.5, 0.2


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
    """A patch for each class: masks of 0 and 1 `[k,1,H,W]`, patterns `[k,C,H,W]` in [0, 1], and what they reach.

    `works` `[k]` is the share of the images on which a patch works, `losses` `[k]` its loss.
    """

    masks: Tensor
    patterns: Tensor
    works: Tensor
    losses: Tensor

    def better_of(self, other: Patches) -> Patches:
        """For each class the patch that works more often, of equal ones that of the smaller loss."""
        is_better = (other.works > self.works) | ((other.works == self.works) & (other.losses < self.losses))
        chosen = (
            torch.where(is_better.view(-1, *[1] * (mine.dim() - 1)), theirs, mine)
            for mine, theirs in zip(self, other, strict=True)
        )
        return Patches(*chosen)


def search_patches(wanted: Wanted, side: float, *, steps: int) -> Patches:
    """Search for a rectangular patch for each class, `side` of the image's height and width.

    Places half a patch apart are tried with few images; the pattern at the best one is refined.
    """
    height, width = wanted.images.shape[2:]
    few = wanted._replace(images=wanted.images[:_TRIED], labels=wanted.labels[:_TRIED])
    best: Patches | None = None
    for mask in _places(height, width, side):
        masks = mask.expand(len(wanted.targets), *mask.shape)
        grey = torch.full((len(masks), *wanted.images.shape[1:]), 0.5)
        found = _painted(few, masks, grey, steps=_FEW, first=_COARSE)
        best = found if best is None else best.better_of(found)
    assert best is not None
    return _painted(wanted, best.masks, best.patterns, steps=steps, first=_FINE)


def _places(height: int, width: int, side: float) -> Iterator[Tensor]:
    """The masks `[1,H,W]` of all places, those at the borders among them."""
    tall, wide = max(1, round(side * height)), max(1, round(side * width))
    for top in _starts(height, tall):
        for left in _starts(width, wide):
            mask = torch.zeros(1, height, width)
            mask[:, top : top + tall, left : left + wide] = 1
            yield mask


def _starts(length: int, part: int) -> list[int]:
    return sorted({*range(0, length - part, max(1, part // 2)), length - part})


def _painted(wanted: Wanted, masks: Tensor, patterns: Tensor, *, steps: int, first: float) -> Patches:
    """Learn the pattern of each patch by signed steps that become smaller; the best one is kept."""
    count = len(masks)
    best = Patches(masks, patterns, torch.full((count,), -1.0), torch.full((count,), torch.inf))
    for step in range(steps + 1):
        patterns = patterns.detach().requires_grad_(True)
        changed = wanted.images[None] * (1 - masks)[:, None] + (patterns * masks)[:, None]
        losses, works = wanted.measured(changed)
        best = best.better_of(Patches(masks, patterns.detach(), works.float(), losses.detach()))
        (gradient,) = torch.autograd.grad(losses.sum(), patterns)
        patterns = (patterns - first * (1 - step / (steps + 1)) * gradient.sign()).clamp(0, 1)
    return best


def search_bounded(wanted: Wanted, bound: float, *, steps: int) -> Tensor:
    """Search for a change of every pixel by at most `bound` for each class, `[k,C,H,W]`: signed steps, best kept."""
    change = torch.zeros(len(wanted.targets), *wanted.images.shape[1:])
    best, reached = change, torch.full((len(change),), -1.0)
    for step in range(steps + 1):
        change = change.detach().requires_grad_(True)
        loss, works = wanted.measured((wanted.images[None] + change[:, None]).clamp(0, 1))
        best = torch.where((works > reached).view(-1, 1, 1, 1), change.detach(), best)
        reached = torch.maximum(reached, works.float())
        (gradient,) = torch.autograd.grad(loss.sum(), change)
        size = bound * _FINE * 2 * (1 - step / (steps + 1))
        change = (change - size * gradient.sign()).clamp(-bound, bound)
    return best
