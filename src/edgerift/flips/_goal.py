"""When a build is destroyed: at chance, or answering one class."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from edgerift.deploy import RUNTIMES, Program, twin, twin_scores
from edgerift.errors import InputError
from edgerift.flips._settings import FlipSettings
from edgerift.images import ImageSet
from edgerift.measure import Rate, accuracy


class Goal(NamedTuple):
    """The images that measure, which no search sees, and what has to become of the answers to them."""

    test: ImageSet
    settings: FlipSettings

    @property
    def chance(self) -> float:
        """The accuracy of answering the most common class."""
        return float(torch.bincount(self.test.labels, minlength=len(self.test.classes)).max()) / len(self.test)

    def is_reached(self, scores: Tensor) -> bool:
        """Say whether scores `[N,K]` are at chance: their accuracy's interval reaches down to it.

        With a target class the share `reach` of the images of other classes has to get it.
        """
        target = self.settings.target_class
        if target is None:
            return accuracy(scores, self.test.labels).low <= self.chance
        others = self.test.labels != target
        got = int((scores.argmax(1)[others] == target).sum())
        return Rate(got, int(others.sum())).value >= self.settings.reach

    def require_class(self) -> None:
        """Raise :class:`~edgerift.errors.InputError` for a target class that the images do not have."""
        target, classes = self.settings.target_class, self.test.classes
        if target is not None and target >= len(classes):
            raise InputError(f"there is no class {target}; {self.test.name} has 0 to {len(classes) - 1}")
        if target is not None and bool((self.test.labels == target).all()):
            raise InputError(f"all images are of class {target}; flips towards it need images of others")


def answered(program: Program, runtime: str, test: ImageSet) -> Tensor:
    """Answer the images by the twin that follows a runtime: float32 `[N,K]`."""
    return twin_scores(twin(program, RUNTIMES[runtime].arithmetic), test.images)
