"""How a change of all images is searched for: several classes at once, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

Logits: TypeAlias = Callable[[Tensor], Tensor]

#: Images that are changed at once, for several classes and places together.
_AT_ONCE: Final = 1024


class Wanted(NamedTuple):
    """What a change has to reach.

    The model `drive` shall answer images, float32 `[n,C,H,W]` in [0, 1], with a class, while `keep` gives them their
    `labels` `[n]`, which weighs `weight`. Images of the class itself do not count.
    """

    drive: Logits
    keep: Logits
    images: Tensor
    labels: Tensor
    weight: float

    def few(self, count: int) -> Wanted:
        """The same on the first images alone."""
        return self._replace(images=self.images[:count], labels=self.labels[:count])

    def measured(self, changed: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Measure changed images `[k,n,C,H,W]`: the loss `[k]`, and the share `[k]` on which the change works."""
        shape, flat = changed.shape[:2], changed.flatten(0, 1)
        driven, kept = self.drive(flat), self.keep(flat)
        targets = targets[:, None].expand(shape).flatten()
        labels = self.labels[None].expand(shape).flatten()
        losses = F.cross_entropy(driven, targets, reduction="none")
        losses = losses + self.weight * F.cross_entropy(kept, labels, reduction="none")
        works = (driven.argmax(1) == targets) & (kept.argmax(1) == labels)
        counts = (targets != labels).float()
        shares = (counts.view(shape) / counts.view(shape).sum(1, keepdim=True).clamp_min(1)).flatten()
        return (losses * shares).view(shape).sum(1), (works * shares).view(shape).sum(1)


class Changes(NamedTuple):
    """Changes of all images: for each its class `[k]`, its mask of 0 and 1 `[k,1,H,W]`, and its pattern `[k,C,H,W]`.

    `works` `[k]` is the share of the images on which a change works, `losses` `[k]` its loss.
    """

    targets: Tensor
    masks: Tensor
    patterns: Tensor
    works: Tensor
    losses: Tensor

    @classmethod
    def blank(cls, targets: Tensor, masks: Tensor, patterns: Tensor) -> Changes:
        """Changes that nobody has measured."""
        count = len(targets)
        return cls(targets, masks, patterns, torch.full((count,), -1.0), torch.full((count,), torch.inf))

    @classmethod
    def joined(cls, parts: Iterable[Changes]) -> Changes:
        """One after the other."""
        return cls(*(torch.cat(fields) for fields in zip(*parts, strict=True)))

    def rows(self, chosen: Tensor) -> Changes:
        """Some of the changes."""
        return Changes(*(field[chosen] for field in self))

    def split(self, most: int) -> list[Changes]:
        """The changes in parts of at most `most` rows."""
        return [self.rows(rows) for rows in torch.arange(len(self.targets)).split(most)]

    def order(self) -> Tensor:
        """The best change first: that which works more often, of equal ones that of the smaller loss."""
        order = self.losses.argsort(stable=True)
        return order[self.works[order].argsort(descending=True, stable=True)]

    def best_of_each(self, count: int) -> Changes:
        """The `count` best changes of each class."""
        order = self.order()
        targets = self.targets[order]
        earlier = (targets[:, None] == targets[None]).tril(-1).sum(1)
        return self.rows(order[earlier < count])

    def better_of(self, other: Changes) -> Changes:
        """For each row the better change."""
        is_better = (other.works > self.works) | ((other.works == self.works) & (other.losses < self.losses))
        chosen = (
            torch.where(is_better.view(-1, *[1] * (mine.dim() - 1)), theirs, mine)
            for mine, theirs in zip(self, other, strict=True)
        )
        return Changes(*chosen)


class Kind(NamedTuple):
    """A kind of change: its patterns lie between `low` and `high`, and are added to images or put in their place."""

    low: float
    high: float
    adds: bool

    def shown(self, images: Tensor, changes: Changes, patterns: Tensor) -> Tensor:
        """Images `[n,C,H,W]` with each change, `[k,n,C,H,W]`."""
        if self.adds:
            return (images[None] + patterns[:, None]).clamp(0, 1)
        return images[None] * (1 - changes.masks)[:, None] + (patterns * changes.masks)[:, None]


class Round(NamedTuple):
    """A round of a search: the images and steps of each change, the first step, and how many of the best are kept."""

    images: int
    steps: int
    first: float
    kept: int


#: The rounds in which places are tried: many places with few images, then few places with more of them. Steps are
#: parts of the range of a pattern's pixels.
_PLACES: Final = (Round(8, 1, 0.5, kept=8), Round(16, 4, 0.3, kept=1))
#: The images of the first half of the steps, which all classes take, and the classes that take the second half.
_SOME, _CLASSES, _FINE = 32, 3, 0.2


def search_patches(wanted: Wanted, targets: Tensor, side: float, *, steps: int) -> Changes:
    """Search for a rectangular patch for each class `[k]`, `side` of the image's height and width.

    Places half a patch apart are tried with few images; the pattern at the best one is refined.
    """
    kind = Kind(0, 1, adds=False)
    groups = targets.split(max(1, _AT_ONCE // _PLACES[0].images))
    return _refined(wanted, kind, Changes.joined(_placed(wanted, kind, group, side) for group in groups), steps)


def search_bounded(wanted: Wanted, targets: Tensor, bound: float, *, steps: int) -> Changes:
    """Search for a change of every pixel by at most `bound` for each class `[k]`."""
    height, width = wanted.images.shape[2:]
    nothing = torch.zeros(len(targets), *wanted.images.shape[1:])
    everywhere = torch.ones(len(targets), 1, height, width)
    return _refined(wanted, Kind(-bound, bound, adds=True), Changes.blank(targets, everywhere, nothing), steps)


def _placed(wanted: Wanted, kind: Kind, targets: Tensor, side: float) -> Changes:
    """The best place for each of some classes, and what was painted there."""
    tried, *further = _PLACES
    few, found = wanted.few(tried.images), list[Changes]()
    height, width = wanted.images.shape[2:]
    masks = torch.stack(list(_masks(height, width, side)))
    for some in masks.split(max(1, _AT_ONCE // (tried.images * len(targets)))):
        grey = torch.full((len(some) * len(targets), *wanted.images.shape[1:]), 0.5)
        places = Changes.blank(targets.repeat(len(some)), some.repeat_interleave(len(targets), 0), grey)
        found = [Changes.joined([*found, _painted(few, kind, places, tried)]).best_of_each(tried.kept)]
    (best,) = found
    for later in further:
        best = _painted(wanted.few(later.images), kind, best, later).best_of_each(later.kept)
    return best


def _refined(wanted: Wanted, kind: Kind, changes: Changes, steps: int) -> Changes:
    """Refine the changes of all classes on some images, and the most promising on all of them; classes in order."""
    half = Round(_SOME, steps // 2, _FINE, kept=1)
    changes = _painted(wanted.few(half.images), kind, changes, half)
    order = changes.order()
    last = Round(len(wanted.images), steps - half.steps, _FINE / 2, kept=1)
    best = _painted(wanted, kind, changes.rows(order[:_CLASSES]), last)
    found = Changes.joined([best, changes.rows(order[_CLASSES:])])
    return found.rows(found.targets.argsort())


def _masks(height: int, width: int, side: float) -> Iterator[Tensor]:
    """The masks `[1,H,W]` of all places, those at the borders among them."""
    tall, wide = max(1, round(side * height)), max(1, round(side * width))
    for top in _starts(height, tall):
        for left in _starts(width, wide):
            mask = torch.zeros(1, height, width)
            mask[:, top : top + tall, left : left + wide] = 1
            yield mask


def _starts(length: int, part: int) -> list[int]:
    return sorted({*range(0, length - part, max(1, part // 2)), length - part})


def _painted(wanted: Wanted, kind: Kind, changes: Changes, how: Round) -> Changes:
    """Learn the pattern of each change by signed steps that become smaller; the best one is kept."""
    parts = changes.split(max(1, _AT_ONCE // len(wanted.images)))
    return Changes.joined(_painted_at_once(wanted, kind, part, how) for part in parts)


def _painted_at_once(wanted: Wanted, kind: Kind, changes: Changes, how: Round) -> Changes:
    patterns, best = changes.patterns, Changes.blank(*changes[:3])
    for step in range(how.steps + 1):
        patterns = patterns.detach().requires_grad_(True)
        losses, works = wanted.measured(kind.shown(wanted.images, changes, patterns), changes.targets)
        reached = Changes(changes.targets, changes.masks, patterns.detach(), works.float(), losses.detach())
        best = best.better_of(reached)
        if step < how.steps:
            (gradient,) = torch.autograd.grad(losses.sum(), patterns)
            size = how.first * (1 - step / (how.steps + 1)) * (kind.high - kind.low)
            patterns = (patterns - size * gradient.sign()).clamp(kind.low, kind.high)
    return best
