"""Distances, divergence and calibration of posteriors: by hand, and against NumPy and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import rel_entr
from sklearn.metrics import log_loss

from edgerift.errors import InputError
from edgerift.measure import (
    Interval,
    Mean,
    MeanInterval,
    Rate,
    ReliabilityBin,
    expected_calibration_error,
    interval,
    l1_distance,
    mean,
    mean_interval,
    negative_log_likelihood,
    posterior_kl,
    posterior_l1,
    rate_of,
    reliability,
)

# No probability of these is below the floor of the logarithms.
#: Rows that add up to 1 are probabilities to what takes logits; those below 0 do not.
logits = arrays.arrays("float32", (8, 4), elements=st.floats(-24, -(2**-10), width=32)).map(torch.from_numpy)
labels = st.lists(st.integers(0, 3), min_size=8, max_size=8).map(torch.tensor)

FIRST = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
SECOND = torch.tensor([[0.25, 0.5, 0.25], [0.0, 0.0, 1.0], [0.0, 0.5, 0.5]])


def test_the_distance_by_hand():
    found = posterior_l1(FIRST, SECOND)
    values = np.array([0.5, 2.0, 0.0])
    error = values.std(ddof=1) / math.sqrt(3)
    assert found.value == pytest.approx(2.5 / 3)
    assert found.low == pytest.approx(2.5 / 3 - 1.96 * error)
    assert found.high == pytest.approx(2.5 / 3 + 1.96 * error)
    assert found.count == 3


def test_the_divergence_by_hand():
    # 1/2 log(2) + 1/4 log(1/2), then log(1 / 1e-12), then 0.
    values = [0.25 * math.log(2), 12 * math.log(10), 0.0]
    found = posterior_kl(FIRST, SECOND)
    assert found.value == pytest.approx(sum(values) / 3)
    assert found.high - found.value == pytest.approx(1.96 * np.std(values, ddof=1) / math.sqrt(3))
    there, back = (posterior_kl(*pair).value for pair in ((FIRST[:1], SECOND[:1]), (SECOND[:1], FIRST[:1])))
    assert there == pytest.approx(back)
    skewed = torch.tensor([[0.7, 0.2, 0.1]])
    assert posterior_kl(skewed, SECOND[:1]).value != pytest.approx(posterior_kl(SECOND[:1], skewed).value)


@given(logits, logits)
def test_distance_and_divergence_are_those_of_numpy(first, second):
    found, others = first.double().softmax(1), second.double().softmax(1)
    p, q = found.numpy(), others.numpy()
    assert posterior_l1(found, others).value == pytest.approx(np.abs(p - q).sum(1).mean())
    assert posterior_l1(found, others).value == pytest.approx(l1_distance(first, second), abs=1e-6)
    assert posterior_kl(found, others).value == pytest.approx(rel_entr(p, q).sum(1).mean(), abs=1e-9)


@given(logits, labels)
def test_the_likelihood_is_that_of_scikit_learn(scores, truth):
    found = scores.double().softmax(1)
    expected = log_loss(truth.numpy(), found.numpy(), labels=[0, 1, 2, 3])
    assert negative_log_likelihood(found, truth) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_label_that_was_excluded_costs_12_digits():
    found = negative_log_likelihood(torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([1, 0]))
    assert found == pytest.approx((12 * math.log(10) + math.log(2)) / 2)


def sure(*confidences):
    """Posteriors float64 `[N,3]` whose first class has these probabilities and is the highest."""
    top = torch.tensor(confidences, dtype=torch.float64)
    return torch.stack([top, (1 - top) * 0.75, (1 - top) * 0.25], dim=1)


def test_calibration_by_hand():
    posteriors = sure(0.55, 0.6, 0.7, 0.9, 1.0)
    truth = torch.tensor([0, 1, 0, 0, 2])
    parts = reliability(posteriors, truth, bins=5)
    empty = ReliabilityBin(0, 0.0, 0.0)
    assert parts[:2] == (empty, empty)
    # 0.6 lies on an edge and belongs below it, 1.0 in the last bin.
    assert parts[2] == (2, pytest.approx(0.575), 0.5)
    assert parts[3] == (1, pytest.approx(0.7), 1.0)
    assert parts[4] == (2, pytest.approx(0.95), 0.5)
    error = (2 * 0.075 + 1 * 0.3 + 2 * 0.45) / 5
    assert expected_calibration_error(posteriors, truth, bins=5) == pytest.approx(error)
    assert expected_calibration_error(posteriors, truth, bins=1) == pytest.approx(abs(3.75 / 5 - 3 / 5))


@pytest.mark.parametrize("bins", range(1, 101))
def test_an_edge_belongs_to_the_bin_below_it(bins):
    edges = [number / bins for number in range(1, bins + 1) if number / bins > 0.5]
    for edge in edges:
        number = round(edge * bins) - 1
        for value, place in ((edge, number), (math.nextafter(edge, 2), min(number + 1, bins - 1))):
            if value <= 1:
                parts = reliability(sure(value), torch.tensor([0]), bins)
                assert [part.images for part in parts].index(1) == place, (value, bins)


def test_a_probability_a_hair_above_1_is_in_the_last_bin():
    parts = reliability(torch.tensor([[1.0000001, 0.0]]), torch.tensor([0]))
    assert parts[14].images == 1


@given(logits, labels, st.integers(1, 30))
def test_calibration_is_that_of_a_loop(scores, truth, bins):
    posteriors = scores.double().softmax(1)
    confidence, predicted = posteriors.numpy().max(1), posteriors.numpy().argmax(1)
    error, parts = 0.0, reliability(posteriors, truth, bins)
    assert len(parts) == bins
    assert sum(part.images for part in parts) == 8
    for number in range(bins):
        inside = (confidence > number / bins) & (confidence <= (number + 1) / bins)
        assert parts[number].images == inside.sum()
        if inside.any():
            right = (predicted == truth.numpy())[inside].mean()
            assert parts[number].accuracy == pytest.approx(right)
            assert parts[number].confidence == pytest.approx(confidence[inside].mean())
            error += inside.mean() * abs(right - confidence[inside].mean())
    assert expected_calibration_error(posteriors, truth, bins) == pytest.approx(error, abs=1e-9)


def test_float32_and_float64_fall_into_the_same_place():
    """A third in float32 is above a third, so it is counted where its own value lies."""
    third = torch.tensor([[1 / 3, 1 / 3, 1 / 3]], dtype=torch.float32)
    assert float(third[0, 0]) > 1 / 3
    parts = reliability(third, torch.tensor([0]), bins=3)
    assert [part.images for part in parts] == [0, 1, 0]


def test_a_mean_by_hand():
    found = mean(torch.tensor([1.0, 2.0, 6.0]))
    error = math.sqrt(7 / 3)
    assert found.value == 3
    assert (found.low, found.high) == pytest.approx((3 - 1.96 * error, 3 + 1.96 * error))
    assert found.count == 3
    assert mean(torch.tensor([0.25])) == Mean(0.25, 0.25, 0.25, 1)
    assert mean(torch.full((5,), 0.5)) == Mean(0.5, 0.5, 0.5, 5)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    draws = torch.rand(2000, 100, generator=torch.Generator().manual_seed(0))
    found = [mean(row) for row in draws]
    share = sum(part.low <= 0.5 <= part.high for part in found) / len(found)
    assert 0.93 < share < 0.97


def test_a_mean_of_many_small_values_is_exact():
    values = torch.full((3_000_000,), 0.1, dtype=torch.float32)
    assert mean(values).value == pytest.approx(float(values[0]), rel=1e-12)


def test_intervals_are_written_and_read():
    rate = Rate(3, 10)
    part = interval(rate)
    assert part == Interval(value=0.3, low=rate.low, high=rate.high, successes=3, trials=10)
    assert rate_of(part) == rate
    assert rate_of(Interval.model_validate_json(part.model_dump_json())) == rate
    found = mean(torch.tensor([1.0, 2.0, 6.0]))
    assert mean_interval(found) == MeanInterval(value=3.0, low=found.low, high=found.high, count=3)


GOOD = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
WRONG = [
    torch.tensor([[2.0, -1.0], [0.5, 0.5]]),
    torch.tensor([[3.0, 1.0], [0.5, 0.5]]),
    torch.tensor([[0.5, 0.49], [0.5, 0.5]]),
    torch.tensor([[math.nan, 0.5], [0.5, 0.5]]),
    torch.tensor([[math.inf, 0.0], [0.5, 0.5]]),
    torch.zeros(2, 2),
    torch.zeros(2, 0),
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize(
    "measure",
    [
        lambda rows: posterior_l1(rows, GOOD),
        lambda rows: posterior_l1(GOOD, rows),
        lambda rows: posterior_kl(rows, GOOD),
        lambda rows: posterior_kl(GOOD, rows),
        lambda rows: negative_log_likelihood(rows, torch.zeros(2, dtype=torch.int64)),
        lambda rows: reliability(rows, torch.zeros(2, dtype=torch.int64)),
        lambda rows: expected_calibration_error(rows, torch.zeros(2, dtype=torch.int64)),
    ],
)
def test_rows_that_are_no_probabilities_are_refused(measure, wrong):
    with pytest.raises(InputError, match=r"take softmax\(1\) of logits"):
        measure(wrong)


@pytest.mark.parametrize("measure", [posterior_l1, posterior_kl])
@pytest.mark.parametrize(
    ("second", "text"),
    [
        (GOOD[:1], r"shapes \[2, 2\] and \[1, 2\] cannot be compared"),
        (torch.full((2, 4), 0.25), r"shapes \[2, 2\] and \[2, 4\] cannot be compared"),
        (GOOD[0], r"posteriors have shape \[2\]; needed: \[N, classes\]"),
        (GOOD[:0], r"posteriors have shape \[0, 2\]; .* at least 1 image"),
    ],
)
def test_posteriors_that_do_not_fit_are_refused(measure, second, text):
    with pytest.raises(InputError, match=text):
        measure(GOOD, second)


@pytest.mark.parametrize("measure", [negative_log_likelihood, reliability, expected_calibration_error])
@pytest.mark.parametrize(
    ("truth", "text"),
    [
        ([0], r"2 posteriors and labels of shape \[1\]"),
        ([[0], [1]], r"2 posteriors and labels of shape \[2, 1\]"),
        ([0, 2], "labels may be 0 to 1; given were labels from 0 to 2"),
        ([-1, 0], "labels may be 0 to 1; given were labels from -1 to 0"),
    ],
)
def test_labels_that_do_not_fit_are_refused(measure, truth, text):
    with pytest.raises(InputError, match=text):
        measure(GOOD, torch.tensor(truth))


@pytest.mark.parametrize("measure", [reliability, expected_calibration_error])
@pytest.mark.parametrize("bins", [0, -3])
def test_no_bins_are_refused(measure, bins):
    with pytest.raises(InputError, match=f"{bins} bins; at least 1 is needed"):
        measure(GOOD, torch.tensor([0, 1]), bins)


def test_no_values_have_no_mean():
    with pytest.raises(InputError, match="the mean of 0 images has no value"):
        mean(torch.zeros(0))
