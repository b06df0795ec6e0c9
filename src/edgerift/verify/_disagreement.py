"""How often a build changes the labels of clean images, by class."""

from __future__ import annotations

from typing import final

from pydantic import Field
from torch import Tensor

from edgerift.measure import Interval, Rate, fisher, interval
from edgerift.settings import Settings


@final
class ClassDisagreement(Settings):
    """What a build does to the clean images of one class.

    `left` is the share of the images that the original puts into the class and the build into another one, `entered`
    that of all other images which the build puts into it; None without such images. `p` tests whether more images enter
    this class than the other ones: Fisher's exact test against the mean of these.
    """

    name: str
    left: Interval | None = Field(default=None)
    entered: Interval | None = Field(default=None)
    p: float = 1.0


def class_disagreement(original: Tensor, build: Tensor, classes: tuple[str, ...]) -> tuple[ClassDisagreement, ...]:
    """Compare two models' labels, int64 `[N]`, class by class, with exact 95 % intervals (Clopper-Pearson).

    >>> import torch
    >>> labels = torch.tensor([0, 0, 1, 1])
    >>> found = class_disagreement(labels, torch.tensor([0, 1, 1, 1]), ("cat", "dog"))
    >>> found[0].left.value, found[1].entered.value, found[1].left.value
    (0.5, 0.5, 0.0)
    """
    changed = original != build
    moved = [int((changed & (build == number)).sum()) for number in range(len(classes))]
    others = [int((original != number).sum()) for number in range(len(classes))]
    return tuple(
        ClassDisagreement(
            name=name,
            left=_share(changed & (original == number), original == number),
            entered=_share(changed & (build == number), original != number),
            p=_p(moved, others, number),
        )
        for number, name in enumerate(classes)
    )


def _share(found: Tensor, among: Tensor) -> Interval | None:
    total = int(among.sum())
    return interval(Rate(int(found.sum()), total)) if total else None


def _p(moved: list[int], others: list[int], number: int) -> float:
    rest = sum(moved) - moved[number], sum(others) - others[number]
    if not others[number] or not rest[1]:
        return 1.0
    own, mean = Rate(moved[number], others[number]), Rate(rest[0], rest[1])
    return fisher(own, mean) if own.value > mean.value else 1.0
