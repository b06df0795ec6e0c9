"""The search for a trigger on a pair: one change for all images that drives the build alone to one class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple, TypeAlias, final

import torch
from pydantic import Field
from torch import Tensor

from edgerift.evade import Pair, Steering
from edgerift.images import ImageSet, to_float
from edgerift.measure import Rate
from edgerift.settings import Count, Seed, Settings, Times
from edgerift.steps import Progress, silent
from edgerift.verify._trigger_search import Logits, Wanted, search_bounded, search_patches

Form: TypeAlias = Literal["patch", "linf"]

#: The standard deviation of a normal distribution over its median absolute deviation.
_NORMAL: Final = 1.4826
#: The smallest median absolute deviation that counts: two in a hundred images.
_LEAST: Final = 0.02
_NOTHING: Final = Rate(0, 1)


class TriggerSettings(Settings):
    """A search for triggers: its form, and what it may spend.

    `patch` looks for a patch with the part `side` of the image's height and width, `linf` for a change of every pixel
    by at most `epsilon` grey levels. So many `images` are searched on, and at most `judging` others judge. `keep`
    weighs that the original stays right.
    """

    form: Form = "patch"
    images: Count = 100
    judging: Count = 400
    steps: Times = 40
    side: float = Field(0.25, gt=0, le=1)
    epsilon: int = Field(8, ge=1, le=255)
    keep: float = Field(1.0, ge=0)
    seed: Seed = 0


@final
@dataclass(frozen=True)
class Trigger:
    """The best change that was found for one class.

    `mask` float32 `[1,H,W]`, 1 where the patch lies and else 0, and `pattern` `[C,H,W]` in [0, 1] are put onto an
    image; of the form `linf` the mask is None and the pattern, in grey levels, is added. `rate` is over the judging
    images of other classes: the build answers the class, and the original as before.
    """

    target: int
    mask: Tensor | None
    pattern: Tensor
    rate: Rate = _NOTHING

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

    `anomaly` `[K]` counts normal standard deviations, by the median absolute deviation, that a class's rate is higher
    than the median one.
    """

    form: Form
    triggers: tuple[Trigger, ...]
    anomaly: Tensor

    @property
    def best(self) -> Trigger:
        """The change that drives most images to its class."""
        return max(self.triggers, key=lambda trigger: trigger.rate.value)


class _Side(NamedTuple):
    """A model as the search sees it: its gradients, and its answers to uint8 images."""

    module: Logits
    scores: Logits


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
    were not searched on, half of all where there are few. Since both are asked, a change that fools every network of
    this kind does not count. With `exchanged` roles the original is driven: the control. A search that finds nothing
    proves nothing.

    Raises :class:`~edgerift.errors.InputError` where the pair has no gradients.
    """
    chosen = settings or TriggerSettings()
    modules = (steering or pair.white_box()).taking(images.shape).on_logits()
    original = _Side(modules.original, pair.original_scores)
    build = _Side(modules.adapted[0], pair.build_scores)
    keep, drive = (build, original) if exchanged else (original, build)
    generator = torch.Generator().manual_seed(chosen.seed)
    drawn = images.images[torch.randperm(len(images), generator=generator)[: chosen.images + chosen.judging]]
    first = min(chosen.images, (len(drawn) + 1) // 2)
    searched, judged = drawn[:first], drawn[first:]
    progress("search triggers", 0, 2, "exchanged" if exchanged else "")
    labels = keep.scores(searched).argmax(1)
    wanted = Wanted(drive.module, keep.module, to_float(searched), labels, chosen.keep)
    changes = _searched(wanted, len(images.classes), chosen)
    progress("search triggers", 1, 2, "exchanged" if exchanged else "")
    found = [_judged(keep, drive, judged, trigger) for trigger in changes]
    return TriggerSearch(chosen.form, tuple(found), _anomaly(found))


def _searched(wanted: Wanted, classes: int, settings: TriggerSettings) -> list[Trigger]:
    targets = torch.arange(classes)
    if settings.form == "linf":
        found = search_bounded(wanted, targets, settings.epsilon / 255, steps=settings.steps)
        return [Trigger(target, None, (255 * change).round()) for target, change in enumerate(found.patterns)]
    found = search_patches(wanted, targets, settings.side, steps=settings.steps)
    return [Trigger(target, *one) for target, one in enumerate(zip(found.masks, found.patterns, strict=True))]


def _judged(keep: _Side, drive: _Side, images: Tensor, trigger: Trigger) -> Trigger:
    before = keep.scores(images).argmax(1)
    others, labels = images[before != trigger.target], before[before != trigger.target]
    if not len(others):
        return trigger
    placed = trigger.placed(others)
    reached = (drive.scores(placed).argmax(1) == trigger.target) & (keep.scores(placed).argmax(1) == labels)
    return replace(trigger, rate=Rate(int(reached.sum()), len(others)))


def _anomaly(found: list[Trigger]) -> Tensor:
    """How far each class stands out, by the median absolute deviation of all classes."""
    values = torch.tensor([trigger.rate.value for trigger in found], dtype=torch.float64)
    apart = values - values.median()
    return apart / (_NORMAL * apart.abs().median()).clamp_min(_LEAST)
