"""What every theft is measured by, on the victim's own test images."""

from __future__ import annotations

from typing import TypedDict

from torch import Tensor

from edgerift.measure import (
    Interval,
    MeanInterval,
    accuracy,
    agreement,
    expected_calibration_error,
    interval,
    mean_interval,
    negative_log_likelihood,
    posterior_kl,
    posterior_l1,
)


class Measures(TypedDict):
    """The fields that the results of all extractions share."""

    defender_error: Interval
    adversary_error: Interval
    disagreement: Interval
    l1: MeanInterval
    divergence: MeanInterval
    calibration_error: float
    negative_log_likelihood: float


def measures(clean: Tensor, answers: Tensor, stolen: Tensor, labels: Tensor) -> Measures:
    """Compare a clone with its victim: posteriors `[N,K]` of the victim before and after its defences, and the clone's.

    `labels` int64 `[N]` are the test images' own.
    """
    return Measures(
        defender_error=interval(accuracy(answers, labels).complement),
        adversary_error=interval(accuracy(stolen, labels).complement),
        disagreement=interval(agreement(answers, stolen).complement),
        l1=mean_interval(posterior_l1(answers, clean)),
        divergence=mean_interval(posterior_kl(answers, stolen)),
        calibration_error=expected_calibration_error(answers, labels),
        negative_log_likelihood=negative_log_likelihood(answers, labels),
    )
