"""The search for a trigger on a pair: one change for all images that drives the build alone to one class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from edgerift.evade import Pair, Steering
from edgerift.images import ImageSet, to_float
from edgerift.measure import Rate
from edgerift.settings import Count, Seed, Settings, Times
from edgerift.steps import Progress, silent

Form: TypeAlias = Literal["patch", "linf"]

#: The standard deviation of a normal distribution over its median absolute deviation.
_NORMAL: Final = 1.4826
#: The share of images at which a patch may shrink, and its price's factor.
_REACHED, _PRICE = 0.9, 1.5
_STEPS_PER_PRICE: Final = 5
#: The smallest median absolute deviation that counts: a pixel of a patch, or a hundredth of the images.
_LEAST: Final = {"patch": 1.0, "linf": 0.01}


class TriggerSettings(Settings):
    """A search for triggers: its form, and what it may spend.

    `patch` looks for the smallest patch, a mask and a pattern; `linf` for a change of every pixel by at most `epsilon`
    grey levels. Half of `images` are searched on, the other half judges. `keep` weighs that the original stays right.
    """

    form: Form = "patch"
    images: Count = 128
    steps: Times = 100
    learning_rate: float = Field(0.1, gt=0)
    epsilon: int = Field(8, ge=1, le=255)
    keep: float = Field(1.0, ge=0)
    seed: Seed = 0


@final
@dataclass(frozen=True)
class Trigger:
    """The best change that was found for one class.

    `mask` float32 `[1,H,W]` in [0, 1] and `pattern` `[C,H,W]` in [0, 1] make of an image `x` the blend
    `(1 - mask) x + mask pattern`; of the form `linf` the mask is None and the pattern, in grey levels, is added. `rate`
    is over the judging images of other classes: the build answers the class, and the original as before. `size` is the
    sum of the mask, in pixels; that of all pixels where no patch reached its goal.
    """

    target: int
    mask: Tensor | None
    pattern: Tensor
    rate: Rate
    size: float

    def placed(self, images: Tensor) -> Tensor:
        """Put the change on uint8 images `[N,C,H,W]`; whole grey levels."""
        if self.mask is None:
            return (images + self.pattern).round().clamp(0, 255).to(torch.uint8)
        blended = images * (1 - self.mask) + 255 * self.pattern * self.mask
        return blended.round().clamp(0, 255).to(torch.uint8)


@final
@dataclass(frozen=True)
class TriggerSearch:
    """The best change for each class, and how far each stands out from the others.

    `anomaly` `[K]` counts normal standard deviations, by the median absolute deviation, that a class's patch is smaller
    than the median one, or its rate higher.
    """

    form: Form
    triggers: tuple[Trigger, ...]
    anomaly: Tensor

    @property
    def best(self) -> Trigger:
        """The change that drives most images to its class."""
        return max(self.triggers, key=lambda trigger: (trigger.rate.value, -trigger.size))


Scores: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Side:
    """A model as the search sees it: its gradients, and its answers to uint8 images."""

    module: nn.Module
    scores: Scores


def search_triggers(
    pair: Pair,
    images: ImageSet,
    *,
    settings: TriggerSettings | None = None,
    steering: Steering | None = None,
    exchanged: bool = False,
    progress: Progress = silent,
) -> TriggerSearch:
    """Look for a change of all images that drives the build to one class while the original answers as before.

    Gradients come from `steering`, by default the pair's own models; the build and the original judge, on images that
    were not searched on. Since both are asked, a change that fools every network of this kind does not count. With
    `exchanged` roles the original is driven: the control. A search that finds nothing proves nothing.

    Raises :class:`~edgerift.errors.InputError` where the pair has no gradients.
    """
    chosen = settings or TriggerSettings()
    modules = (steering or pair.white_box()).taking(images.shape).on_logits()
    original = _Side(modules.original, pair.original_scores)
    build = _Side(modules.adapted[0], pair.build_scores)
    keep, drive = (build, original) if exchanged else (original, build)
    generator = torch.Generator().manual_seed(chosen.seed)
    rows = torch.randperm(len(images), generator=generator)[: chosen.images]
    drawn = images.images[rows]
    searched, judged = drawn[: (len(drawn) + 1) // 2], drawn[(len(drawn) + 1) // 2 :]
    found = []
    for target in range(len(images.classes)):
        progress("search triggers", target, len(images.classes), "exchanged" if exchanged else "")
        mask, pattern = _found(keep, drive, searched, target, chosen)
        found.append(_judged(keep, drive, judged, target, mask, pattern))
    return TriggerSearch(chosen.form, tuple(found), _anomaly(chosen.form, found))


def _found(
    keep: _Side, drive: _Side, images: Tensor, target: int, settings: TriggerSettings
) -> tuple[Tensor | None, Tensor]:
    """Search for one class on the images that are of another one."""
    before = keep.scores(images).argmax(1)
    real, labels = to_float(images[before != target]), before[before != target]
    shape = (images.shape[1], *images.shape[2:])
    if not len(real):
        return (torch.ones(1, *shape[1:]) if settings.form == "patch" else None), torch.zeros(shape)
    search = _patch if settings.form == "patch" else _bounded

    def loss(changed: Tensor) -> tuple[Tensor, Tensor]:
        driven, kept = drive.module(changed), keep.module(changed)
        wanted = torch.full_like(labels, target)
        success = ((driven.argmax(1) == target) & (kept.argmax(1) == labels)).double().mean()
        return F.cross_entropy(driven, wanted) + settings.keep * F.cross_entropy(kept, labels), success

    return search(real, loss, settings)


Loss: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]


def _bounded(real: Tensor, loss: Loss, settings: TriggerSettings) -> tuple[None, Tensor]:
    """Change every pixel by a little: signed steps inside of the box, the best of them kept."""
    bound = settings.epsilon / 255
    change = torch.zeros(real.shape[1:])
    best, reached = change, -1.0
    for step in range(settings.steps + 1):
        change = change.detach().requires_grad_(True)
        value, success = loss((real + change).clamp(0, 1))
        if float(success) > reached:
            best, reached = change.detach(), float(success)
        (gradient,) = torch.autograd.grad(value, change)
        size = bound * 2 * (1 - step / (settings.steps + 1)) * settings.learning_rate
        change = (change - size * gradient.sign()).clamp(-bound, bound)
    return None, (255 * best).round()


def _patch(real: Tensor, loss: Loss, settings: TriggerSettings) -> tuple[Tensor, Tensor]:
    """Shrink a mask whose price rises while its goal is reached; the smallest that reached it is kept."""
    generator = torch.Generator().manual_seed(settings.seed)
    covered = torch.randn(1, *real.shape[2:], generator=generator).mul(0.1).requires_grad_(True)
    painted = torch.randn(real.shape[1:], generator=generator).mul(0.1).requires_grad_(True)
    optimiser = torch.optim.Adam([covered, painted], settings.learning_rate)
    price, smallest = 1e-2, float("inf")
    best = torch.ones_like(covered).detach(), painted.sigmoid().detach()
    for step in range(settings.steps):
        mask, pattern = covered.sigmoid(), painted.sigmoid()
        value, success = loss(real * (1 - mask) + pattern * mask)
        size = float(mask.detach().sum())
        if float(success) >= _REACHED and size < smallest:
            best, smallest = (mask.detach(), pattern.detach()), size
        optimiser.zero_grad()
        torch.autograd.backward(value + price * mask.sum() / mask.shape[-1], inputs=[covered, painted])
        optimiser.step()
        if step % _STEPS_PER_PRICE == _STEPS_PER_PRICE - 1:
            price = price * _PRICE if float(success) >= _REACHED else price / _PRICE
    return best


def _judged(keep: _Side, drive: _Side, images: Tensor, target: int, mask: Tensor | None, pattern: Tensor) -> Trigger:
    before = keep.scores(images).argmax(1)
    others, labels = images[before != target], before[before != target]
    size = 0.0 if mask is None else float(mask.sum())
    if not len(others):
        return Trigger(target, mask, pattern, Rate(0, 1), size)
    placed = Trigger(target, mask, pattern, Rate(0, 1), size).placed(others)
    reached = (drive.scores(placed).argmax(1) == target) & (keep.scores(placed).argmax(1) == labels)
    return Trigger(target, mask, pattern, Rate(int(reached.sum()), len(others)), size)


def _anomaly(form: Form, found: list[Trigger]) -> Tensor:
    """How far each class stands out, by the median absolute deviation of all classes."""
    figures = [-trigger.size if form == "patch" else trigger.rate.value for trigger in found]
    values = torch.tensor(figures, dtype=torch.float64)
    apart = values - values.median()
    spread = (_NORMAL * apart.abs().median()).clamp_min(_LEAST[form])
    return apart / spread
