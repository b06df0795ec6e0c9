"""Measures of posterior probabilities: distance, divergence and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from edgerift.errors import InputError

#: Below this a probability counts as this, so that a logarithm stays finite.
FLOOR = 1e-12


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of one value per image, with its two-sided 95 % interval: value -+ 1.96 standard errors.

    `count` is the number of images. With one image the interval is the value itself.
    """

    value: float
    low: float
    high: float
    count: int


class ReliabilityBin(NamedTuple):
    """The images whose highest probability is in one bin: their number, mean confidence and accuracy."""

    images: int
    confidence: float
    accuracy: float


def posterior_l1(first: Tensor, second: Tensor) -> Mean:
    """Measure the L1 distance of two sets of posteriors `[N,K]`: the mean of sum_k |first_k - second_k|, in [0, 2].

    Unlike :func:`l1_distance`, which takes logits, this takes probabilities. Computed in float64. Raises `InputError`
    for shapes that differ, rows that are not >= 0 or do not add up to 1 within 0.001, or without images.
    """
    _check_both(first, second)
    return mean((first.double() - second.double()).abs().sum(1))


def posterior_kl(first: Tensor, second: Tensor) -> Mean:
    """Measure KL(first || second) of posteriors `[N,K]`: the mean of sum_k first_k log(first_k / second_k), in nats.

    Probabilities below 1e-12 count as 1e-12 in the logarithms. Raises as :func:`posterior_l1` does.
    """
    _check_both(first, second)
    first, second = first.double(), second.double()
    return mean((first * (first.clamp_min(FLOOR).log() - second.clamp_min(FLOOR).log())).sum(1))


def negative_log_likelihood(posteriors: Tensor, labels: Tensor) -> float:
    """Measure the mean of -log p(label) in nats, of posteriors `[N,K]` and labels int64 `[N]`.

    A probability below 1e-12 counts as 1e-12. Raises as :func:`posterior_l1` does, and for labels that do not fit.
    """
    _check_labels(posteriors, labels)
    chosen = posteriors.double().gather(1, labels[:, None]).clamp_min(FLOOR)
    return float(-chosen.log().mean())


def reliability(posteriors: Tensor, labels: Tensor, bins: int = 15) -> tuple[ReliabilityBin, ...]:
    """Cut [0, 1] into equal bins, and compare in each the confidence of posteriors `[N,K]` with their accuracy.

    A highest probability p is in bin i of n, counted from 0, when i/n < p <= (i+1)/n. An empty bin has confidence and
    accuracy 0. The first of equal highest probabilities is the answer. Raises `InputError` for no bins, and as
    :func:`negative_log_likelihood` does.
    """
    _check_labels(posteriors, labels)
    if bins < 1:
        raise InputError(f"{bins} bins; at least 1 is needed")
    confidence, predicted = posteriors.double().max(1)
    right = (predicted == labels).double()
    # Compared with i/n itself: confidence * n rounds up past i for some of them, 7/25 for one.
    number = torch.bucketize(confidence, torch.arange(1, bins, dtype=torch.float64, device=confidence.device) / bins)
    counts = torch.bincount(number, minlength=bins)
    divisor = counts.clamp_min(1)
    means = (torch.bincount(number, weights=column, minlength=bins) / divisor for column in (confidence, right))
    return tuple(
        ReliabilityBin(int(count), float(sure), float(accurate))
        for count, sure, accurate in zip(counts, *means, strict=True)
    )


def expected_calibration_error(posteriors: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Measure the mean gap of confidence and accuracy over :func:`reliability`'s bins, weighted by their counts.

    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning"; in [0, 1]. Raises as
    :func:`reliability` does.
    """
    parts = reliability(posteriors, labels, bins)
    return sum(part.images * abs(part.confidence - part.accuracy) for part in parts) / len(labels)


def mean(values: Tensor) -> Mean:
    """Take the mean of values `[N]` and its interval; raises `InputError` without values."""
    if len(values) == 0:
        raise InputError("the mean of 0 images has no value; at least 1 image is needed")
    centre = float(values.double().mean())
    error = float(values.double().std()) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return Mean(centre, centre - 1.96 * error, centre + 1.96 * error, len(values))


def _check(posteriors: Tensor) -> None:
    if posteriors.ndim != 2 or len(posteriors) == 0:
        raise InputError(f"posteriors have shape {list(posteriors.shape)}; needed: [N, classes] with at least 1 image")
    sums = posteriors.double().sum(1)
    # A comparison with NaN is false, so this refuses NaN too.
    if not bool(((sums - 1).abs() < 1e-3).all()) or not bool((posteriors >= 0).all()):
        raise InputError("rows that are not probabilities: each must be >= 0 and sum to 1; take softmax(1) of logits")


def _check_both(first: Tensor, second: Tensor) -> None:
    _check(first)
    _check(second)
    if first.shape != second.shape:
        raise InputError(f"posteriors of shapes {list(first.shape)} and {list(second.shape)} cannot be compared")


def _check_labels(posteriors: Tensor, labels: Tensor) -> None:
    _check(posteriors)
    if labels.shape != posteriors.shape[:1]:
        raise InputError(f"{len(posteriors)} posteriors and labels of shape {list(labels.shape)}; one each is needed")
    classes = posteriors.shape[1]
    if not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise InputError(
            f"posteriors of {classes} classes, so labels may be 0 to {classes - 1}; "
            f"given were labels from {int(labels.min())} to {int(labels.max())}"
        )
