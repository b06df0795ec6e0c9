"""What differential testing found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from edgerift.measure import Interval, Rate, interval
from edgerift.settings import Settings


class DifferPart(Settings):
    """A search in figures.

    Of the images on which both models `agreed`, `found` got a changed image on which they differ; `already` images
    needed no change. With labels the changed images are told apart by who is right: `build_wrong`, `original_wrong` or
    `both_wrong`; they are None without. `queries` and `gradients` count all calls, and `coverage` is the share of the
    original's neurons that the images and their changes activated, None where nobody asked.
    """

    images: int
    already: int
    agreed: int
    found: Interval
    build_wrong: int | None
    original_wrong: int | None
    both_wrong: int | None
    queries: int
    gradients: int
    coverage: float | None


@final
@dataclass(frozen=True)
class Differences:
    """A search's result, one row for each image of the set.

    `clean` and `images` are uint8 `[N,C,H,W]`; where nothing was `found` (bool `[N]`) the second is the last try.
    `already` marks the images on which the models differed from the start, which were not changed. `original` and
    `build` are the answers int64 `[N]` to `images`. `queries` and `gradients` int64 `[N]` count calls for each image.
    """

    clean: Tensor
    images: Tensor
    found: Tensor
    already: Tensor
    original: Tensor
    build: Tensor
    queries: Tensor
    gradients: Tensor
    coverage: float | None = None

    @property
    def rate(self) -> Rate:
        """The share of the images on which both models agreed that were changed so that they differ."""
        return Rate(int(self.found.sum()), int((~self.already).sum()))

    def part(self, labels: Tensor | None = None) -> DifferPart:
        """Summarise; labels int64 `[N]` are those that a change must not alter."""
        known: dict[str, int | None] = dict.fromkeys(("build_wrong", "original_wrong", "both_wrong"))
        if labels is not None:
            original, build = self.original == labels, self.build == labels
            sides = {"build_wrong": original & ~build, "original_wrong": ~original & build}
            sides["both_wrong"] = ~original & ~build
            known = {name: int((side & self.found).sum()) for name, side in sides.items()}
        return DifferPart(
            images=len(self.clean),
            already=int(self.already.sum()),
            agreed=int((~self.already).sum()),
            found=interval(self.rate),
            queries=int(torch.sum(self.queries)),
            gradients=int(torch.sum(self.gradients)),
            coverage=self.coverage,
            **known,
        )
