"""The differences of two classifiers on the same images."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from edgerift.errors import InputError
from edgerift.measure._logits import as_logits
from edgerift.measure._rate import Rate
from edgerift.measure._scores import check_scores, right


@dataclass(frozen=True, slots=True)
class Quadrants:
    """The images of a set, counted by whether the original and the build label them correctly."""

    both_right: int
    only_original_right: int
    only_build_right: int
    both_wrong: int

    @property
    def total(self) -> int:
        """The number of images."""
        return self.both_right + self.only_original_right + self.only_build_right + self.both_wrong

    @property
    def instability(self) -> Rate:
        """The share of images that exactly one gets right; raises `InputError` without images."""
        return Rate(self.only_original_right + self.only_build_right, self.total)

    def as_dict(self) -> dict[str, object]:
        """Return the counts and the instability as plain numbers for JSON."""
        return {
            "both_right": self.both_right,
            "only_original_right": self.only_original_right,
            "only_build_right": self.only_build_right,
            "both_wrong": self.both_wrong,
            "instability": self.instability.as_dict(),
        }


def quadrants(original_scores: Tensor, build_scores: Tensor, labels: Tensor) -> Quadrants:
    """Count the images by which model is right, from scores `[N,K]` of both and labels int64 `[N]`.

    Raises `ModelError` for scores that are not finite or lack a label's class, `InputError` for lengths that
    differ.
    """
    original, build = right(original_scores, labels), right(build_scores, labels)
    return Quadrants(
        both_right=int((original & build).sum()),
        only_original_right=int((original & ~build).sum()),
        only_build_right=int((~original & build).sum()),
        both_wrong=int((~original & ~build).sum()),
    )


def agreement(first_scores: Tensor, second_scores: Tensor) -> Rate:
    """Count the images to which both give the same label, from scores `[N,K]`.

    The first of equal highest scores counts. Raises `ModelError` for scores that are not finite, `InputError`
    for shapes that differ.
    """
    _check_same_shape(first_scores, second_scores)
    same = first_scores.argmax(1) == second_scores.argmax(1)
    return Rate(int(same.sum()), len(same))


def l1_distance(first_scores: Tensor, second_scores: Tensor) -> float:
    """Measure the L1 distance of the probabilities, in [0, 2], from scores (logits) `[N,K]`.

    It is the mean over the images of sum_k |softmax(first)_k - softmax(second)_k|, twice the total variation
    distance, computed in float64. Scores of eight images or more that are probabilities are taken as such.
    Raises `ModelError` for scores that are not finite, `InputError` for shapes that differ and without images.
    """
    _check_same_shape(first_scores, second_scores)
    if len(first_scores) == 0:
        raise InputError("the distance of 0 scores has no value; at least 1 image is needed")
    first, second = (
        as_logits(scores, f"the {place} of two models").double().softmax(1)
        for place, scores in (("first", first_scores), ("second", second_scores))
    )
    return float((first - second).abs().sum(1).mean())


def _check_same_shape(first: Tensor, second: Tensor) -> None:
    check_scores(first)
    check_scores(second)
    if first.shape != second.shape:
        raise InputError(
            f"scores of shapes {list(first.shape)} and {list(second.shape)} cannot be compared; "
            "both must score the same images and classes"
        )
