"""Two builds of one original, such as one file on two devices: images that the one gets right and the other wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

from torch import Tensor, nn

from edgerift.evade._pair import Pair, Steering
from edgerift.specification import Guard


@final
@dataclass(frozen=True)
class Disagreement:
    """Two builds of one original: an image evades if the build of `right` labels it correctly and that of `wrong` not.

    Both verdicts are those of the runtimes; the float model has no part in them. The guard is that of `wrong`.
    """

    right: Pair
    wrong: Pair

    @property
    def guard(self) -> Guard | None:
        """The guard of the build that has to be fooled."""
        return self.wrong.guard

    @cached_property
    def original(self) -> nn.Module:
        """The build that has to stay right, as a module that asks it."""
        return self.right.black_box().adapted[0]

    @property
    def folded_original(self) -> nn.Module:
        """The build that has to stay right."""
        return self.original

    def original_scores(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with the logits `[N,K]` of the build that has to stay right."""
        return self.right.build_scores(images)

    def build_scores(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with the logits `[N,K]` of the build that has to be fooled."""
        return self.wrong.build_scores(images)

    def white_box(self) -> Steering:
        """Make the twins of both builds; raises :class:`~edgerift.errors.InputError` where one has none."""
        return Steering(self.right.twin, (self.wrong.twin,))

    def black_box(self, directions: int = 16) -> Steering:
        """Estimate both builds' gradients from their answers, by `2 * directions` queries per image each."""
        return Steering(self.right.black_box(directions).adapted[0], self.wrong.black_box(directions).adapted)
