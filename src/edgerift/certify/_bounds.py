"""What is known of one tensor in both networks at once: the original's values, the build's, and their difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import final

from torch import Tensor

from edgerift.certify._interval import Interval


@final
@dataclass(frozen=True)
class Bounds:
    """Intervals of a tensor of the original, of the same tensor of the build, and of `change = build - original`.

    All of them hold at once, for every image of a box. Where `alike` is a number all channels are the same function of
    one grey level, up to so much; else it is None.
    """

    original: Interval
    build: Interval
    change: Interval
    alike: float | None = None

    def tightened(self) -> Bounds:
        """Use each of the three to tighten the others."""
        change = self.change.within(self.build - self.original)
        build = self.build.within(self.original + change)
        return Bounds(self.original.within(build - change), build, change)

    def map(self, function: Callable[[Tensor], Tensor]) -> Bounds:
        """Apply what moves values alike in both networks."""
        return Bounds(self.original.map(function), self.build.map(function), self.change.map(function))

    def disturbed(self, by: Tensor | float) -> Bounds:
        """Let the build's values be wrong by so much."""
        return replace(self, build=self.build.widened(by), change=self.change.widened(by))
