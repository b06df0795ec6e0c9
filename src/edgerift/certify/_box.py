"""The images of a box, and what is computed from each grey level alone before values of different pixels meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

import torch
from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._interval import Interval
from edgerift.images import in_channels, to_float

_LEVELS: Final = 256


@final
class Box:
    """All images whose whole grey levels differ from uint8 images `[N,C,H,W]` by at most `epsilon`.

    They are shown to networks that take `channels`, so that the one of grey images is repeated.
    """

    def __init__(self, images: Tensor, epsilon: int, channels: int) -> None:
        """Take the images in the middle of the box."""
        self._is_repeated = images.shape[1] != channels
        levels = in_channels(images, channels).long()
        self.shape = levels.shape
        self._low, self._high = (levels - epsilon).clamp_min(0), (levels + epsilon).clamp_max(_LEVELS - 1)

    def palette(self) -> Bounds:
        """The image's values for each grey level, `[256,C,1,1]`: both networks are shown the same float32 numbers."""
        levels = torch.arange(_LEVELS, dtype=torch.uint8).view(-1, 1, 1, 1)
        values = Interval.point(to_float(levels).repeat(1, self.shape[1], 1, 1))
        return Bounds(values, values, Interval.point(torch.zeros_like(values.low)))

    def bounds(self, palette: Bounds) -> Bounds:
        """What is known of every pixel of the box, of values that `palette` has for each grey level."""
        parts = [palette.original, palette.build, palette.change]
        found = Bounds(*(Interval(self._over(part.low, _smallest), self._over(part.high, _largest)) for part in parts))
        ends = [end for part in parts for end in (part.low, part.high)]
        if not self._is_repeated or not all(torch.equal(end, end[:, :1].expand_as(end)) for end in ends):
            return found
        return replace(found, alike=max(float((part.high - part.low).max()) for part in parts))

    def _over(self, table: Tensor, running: Callable[[Tensor], Tensor]) -> Tensor:
        """The smallest or the largest of a table's values `[256,C,1,1]` between each pixel's two ends."""
        values = table[:, :, 0, 0]
        ranges = values.new_zeros(_LEVELS, *values.shape)
        for start in range(_LEVELS):
            ranges[start, start:] = running(values[start:])
        channel = torch.arange(self.shape[1]).view(1, -1, 1, 1)
        return ranges[self._low, self._high, channel]


def _smallest(values: Tensor) -> Tensor:
    return values.cummin(0).values


def _largest(values: Tensor) -> Tensor:
    return values.cummax(0).values
