"""The evasive share over epsilon: the same images in boxes that grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from edgerift.errors import InputError
from edgerift.evade._attack import Attack
from edgerift.evade._evasion import Dropped
from edgerift.evade._pair import Steering, Victim
from edgerift.evade._presets import preset
from edgerift.evade._search import search_selected, select
from edgerift.images import ImageSet
from edgerift.measure import Rate, data_frame
from edgerift.steps import Progress, silent

if TYPE_CHECKING:
    from pandas import DataFrame


@final
@dataclass(frozen=True)
class Curve:
    """The images that evade at several epsilons, in whole grey levels: one row for each attacked image.

    `attacks` are the searches, one for each epsilon, in growing order; `index`, `labels` int64 `[N]` the images' places
    in the image set, and their labels. `smallest` int64 `[N]` is the smallest epsilon at which an image evaded, -1 for
    none; `clean`, `images` uint8 `[N,C,H,W]` the images before the attack, and the evasive image at that epsilon, or
    the last candidate at the largest one.
    """

    attacks: tuple[Attack, ...]
    data: str
    dropped: Dropped
    index: Tensor
    labels: Tensor
    clean: Tensor
    images: Tensor
    smallest: Tensor

    def __len__(self) -> int:
        """The number of images that were attacked."""
        return len(self.labels)

    @property
    def epsilons(self) -> tuple[int, ...]:
        """The epsilons, in growing order."""
        return tuple(attack.epsilon for attack in self.attacks)

    @property
    def rates(self) -> tuple[Rate, ...]:
        """The evasive share at each epsilon, with its exact interval."""
        return tuple(Rate(int(self.evasive(epsilon).sum()), len(self)) for epsilon in self.epsilons)

    def evasive(self, epsilon: int) -> Tensor:
        """Tell which images evade within `epsilon` grey levels, bool `[N]`; raises `InputError` for another one."""
        if epsilon not in self.epsilons:
            known = ", ".join(map(str, self.epsilons))
            raise InputError(f"no search at an epsilon of {epsilon}; there are searches at {known}")
        return (self.smallest >= 0) & (self.smallest <= epsilon)

    def frame(self) -> DataFrame:
        """Return a pandas data frame with one row for each epsilon.

        Columns: `epsilon`, `evasive` and `attacked`, counts of images; `rate`, and `low` and `high`, its exact 95 %
        interval, in [0, 1].
        """
        rates = self.rates
        return data_frame(
            {
                "epsilon": self.epsilons,
                "evasive": [rate.successes for rate in rates],
                "attacked": [rate.trials for rate in rates],
                "rate": [rate.value for rate in rates],
                "low": [rate.low for rate in rates],
                "high": [rate.high for rate in rates],
            }
        )


def curve(
    victim: Victim,
    image_set: ImageSet,
    epsilons: Sequence[int] = (1, 2, 4, 8),
    attack: Attack | str = "default",
    *,
    steps: int = 20,
    steering: Steering | None = None,
    batch_size: int | None = None,
    progress: Progress = silent,
    **changes: Any,
) -> Curve:
    """Search the same images at several epsilons, in whole grey levels, from the smallest on.

    The box of a larger epsilon holds that of a smaller one, so an image that evades at one evades at every larger one
    and is not searched again: the curve never falls, by construction. A named `attack` is that preset for each epsilon
    and `steps`; a description keeps its fields but for the epsilon. `changes` replace fields of both. The other
    arguments are those of :func:`search`; only images that both models label correctly are attacked.

    Raises :class:`~edgerift.errors.InputError` for no epsilons, for one that is given twice, and without an image to
    attack; and what :func:`search` raises.
    """
    attacks = [_described(attack, epsilon, steps, changes) for epsilon in epsilons]
    attacks.sort(key=lambda one: one.epsilon)
    if len({one.epsilon for one in attacks}) < max(1, len(attacks)):
        raise InputError(f"epsilons are {list(epsilons)}; give one or more, each once, in whole grey levels")
    chosen = select(victim, image_set)
    if not len(chosen.index):
        raise InputError(f"none of the {len(image_set)} images is labelled correctly by both models; nothing to attack")
    steering = steering or victim.white_box()
    smallest = torch.full((len(chosen.index),), -1)
    images = image_set.images[chosen.index].clone()
    for one in attacks:
        rows = (smallest < 0).nonzero()[:, 0]
        if not len(rows):
            break
        left = chosen.rows(rows)
        found = search_selected(
            victim, image_set, left, one, steering=steering, batch_size=batch_size, progress=progress
        )
        images[rows] = found.images
        smallest[rows[found.evasive]] = one.epsilon
    labels, clean = image_set.labels[chosen.index], image_set.images[chosen.index]
    return Curve(tuple(attacks), image_set.name, chosen.dropped, chosen.index, labels, clean, images, smallest)


def _described(attack: Attack | str, epsilon: int, steps: int, changes: dict[str, Any]) -> Attack:
    described = preset(attack, epsilon, steps) if isinstance(attack, str) else attack.replace(epsilon=epsilon)
    return described.replace(**changes)
