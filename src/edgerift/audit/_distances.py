"""How far attacked images are from clean ones."""

from __future__ import annotations

from typing import Final, NamedTuple

from torch import Tensor

from edgerift.evade import Evasion
from edgerift.images import in_channels
from edgerift.measure import l2_distance, linf_distance, ssim

_COLOUR: Final = 3


class Distances(NamedTuple):
    """The distance of each image: int64 `[N]` and float64 `[N]` in grey levels, and SSIM in [-1, 1]."""

    linf: Tensor
    l2: Tensor
    ssim: Tensor


def distances(found: Evasion) -> Distances:
    """Measure the images of a search, at least one; a grey one counts as three equal channels.

    So the L2 of a grey image compares with that of one in colour, and with those of earlier versions.
    """
    clean, attacked = (as_colour(images) for images in (found.clean, found.images))
    return Distances(linf_distance(clean, attacked), l2_distance(clean, attacked), ssim(clean, attacked))


def as_colour(images: Tensor) -> Tensor:
    """Return images `[N,C,H,W]` with three channels, in which the pixels of evidence are hashed and measured."""
    return in_channels(images, _COLOUR)
