"""What a certificate says: for which images no evasive image exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from edgerift.errors import InputError
from edgerift.measure import Rate


@final
@dataclass(frozen=True)
class Certificate:
    """Images, and for each how sure a wrong answer of the build can be in its box while the original is right.

    `epsilon` is the box's, in whole grey levels, `data` the image set's name. `index`, `labels` int64 `[N]` are the
    images' places in the set, and their labels. `lead` float64 `[N]` is an upper bound on how far the build's score of
    any other class exceeds its score of the label, over all images of the box that the original gets right: below zero
    where the build cannot be wrong there, and minus infinity where the original cannot be right. `aligned` says whether
    the two networks were compared layer by layer, and `levels` by how many levels a rounding may be off.
    """

    epsilon: int
    data: str
    index: Tensor
    labels: Tensor
    lead: Tensor
    aligned: bool
    levels: int

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def certified(self, threshold: float = 0.0) -> Tensor:
        """Tell for which images it is proved that no image of the box evades, bool `[N]`.

        With a `threshold` above zero the build abstains where its two best scores are closer than that: an image evades
        where the original is right and the build answers another class all the same. Raises `InputError` for a
        threshold below zero or that is not a number.
        """
        if not threshold >= 0:
            raise InputError(f"a guard's threshold of {threshold}; allowed: 0 or more")
        return self.lead < threshold

    def rate(self, threshold: float = 0.0) -> Rate:
        """The certified share of the images, with its exact interval: a proof for each, not an estimate.

        The interval is for the share among other images like these.
        """
        return Rate(int(self.certified(threshold).sum()), len(self))
