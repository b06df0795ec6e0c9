"""A guard: the rule by which a build abstains from images that it is not sure about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field

from edgerift import measure
from edgerift._lazy import later
from edgerift.errors import InputError
from edgerift.settings import Settings

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = later("torch")

#: What float rounding does to equal gaps on a grid of scores, as a share of the largest score, with room to spare.
_ROUNDING: Final = 2.0**-20


class Guard(Settings):
    """A reject option: a build answers an image only if its two best scores are at least `threshold` apart.

    `space` says what the scores of the artefact are: logits, or probabilities, whose natural logarithms are compared.
    A threshold of 0 answers every image.

    >>> Guard(threshold=1.0).answers(torch.tensor([[3.0, 1.5], [3.0, 2.5]]))
    tensor([ True, False])
    """

    type: Literal["guard"] = "guard"
    threshold: Annotated[float, Field(ge=0)]
    space: Literal["logits", "log-probabilities"] = "logits"

    def answers(self, scores: Tensor) -> Tensor:
        """Tell which images are answered, bool `[N]`, by scores float32 `[N,K]`: logits or log-probabilities."""
        return measure.score_gap(scores) >= self.threshold

    def coverage(self, scores: Tensor) -> measure.Rate:
        """Count the images that are answered, by scores `[N,K]`; raises `InputError` without images."""
        return measure.Rate(int(self.answers(scores).sum()), len(scores))

    @classmethod
    def calibrate(
        cls, scores: Tensor, coverage: float, *, space: Literal["logits", "log-probabilities"] = "logits"
    ) -> Self:
        """Choose the largest threshold at which at least `coverage`, in (0, 1], of the scores `[N,K]` are answered.

        That is the gap of rank ceil(coverage N), counted from the largest; a millionth of the largest score less, so
        that equal gaps on a grid, which float rounds apart, are answered alike. All images with that gap are answered:
        on a coarse grid :meth:`coverage` can be well above the one wanted. `scores` are of validation images, never
        of the images that are reported on. Raises `InputError`.
        """
        if not 0 < coverage <= 1:
            raise InputError(f"a coverage of {coverage}; allowed: above 0, up to 1, such as 0.98")
        if len(scores) == 0 or not bool(scores.isfinite().all()):
            raise InputError(f"a guard is calibrated on finite scores of at least 1 image; got {list(scores.shape)}")
        gaps = measure.score_gap(scores).sort(descending=True).values
        # Rounded first, for a decimal share is a binary one only nearly.
        rank = math.ceil(round(coverage * len(gaps), 6))
        gap = float(gaps[max(rank, 1) - 1])
        if not math.isfinite(gap):
            return cls(threshold=0.0, space=space)
        below = gap - _ROUNDING * float(scores.abs().max())
        return cls(threshold=float(torch.tensor(max(0.0, below), dtype=torch.float32)), space=space)
