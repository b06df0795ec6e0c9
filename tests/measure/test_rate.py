import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from edgerift.errors import InputError
from edgerift.measure import Rate, mcnemar

counts = st.integers(1, 20_000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@given(counts, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_the_interval_is_the_exact_one(count, confidence):
    rate = Rate(*count, confidence)
    expected = binomtest(*count).proportion_ci(confidence, method="exact")
    assert rate.low == pytest.approx(expected.low, rel=1e-9, abs=1e-12)
    assert rate.high == pytest.approx(expected.high, rel=1e-9)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1


@pytest.mark.parametrize(
    ("rate", "low", "high"),
    [
        (Rate(0, 10), 0.0, 1 - 0.025 ** (1 / 10)),
        (Rate(10, 10), 0.025 ** (1 / 10), 1.0),
        (Rate(0, 1), 0.0, 0.975),
        (Rate(1, 1), 0.025, 1.0),
        (Rate(1, 2, 0.9), 1 - math.sqrt(0.95), math.sqrt(0.95)),
        (Rate(5, 10), 0.1870860, 0.8129140),
    ],
)
def test_intervals_by_hand(rate, low, high):
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=5e-8)


@given(counts)
def test_failures_mirror_successes(count):
    successes, trials = count
    rate, mirrored = Rate(successes, trials), Rate(trials - successes, trials)
    assert mirrored.low == pytest.approx(1 - rate.high, abs=1e-9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 0), "at least 1 trial"),
        ((3, 2), "3 successes of 2 trials; allowed: 0 to 2"),
        ((-1, 2), "allowed: 0 to 2"),
        ((1, 2, 1.0), "a confidence of 1.0"),
        ((1, 2, 95), "a confidence of 95"),
    ],
)
def test_counts_that_are_no_rate(values, message):
    with pytest.raises(InputError, match=message):
        Rate(*values)


def test_a_rate_is_plain_in_json():
    again = json.loads(json.dumps(Rate(1, 2, 0.9).as_dict()))
    expected = {"value": 0.5, "successes": 1, "trials": 2, "confidence": 0.9}
    assert again == expected | {"low": Rate(1, 2, 0.9).low, "high": Rate(1, 2, 0.9).high}
    assert str(Rate(0, 10)) == "0.0 % [0.0, 30.8] (0 of 10)"


@pytest.mark.parametrize(
    ("only_first", "only_second", "expected"),
    [
        (0, 0, 1.0),
        (3, 3, 1.0),
        (0, 1, 1.0),
        (0, 6, 2 / 64),
        (1, 9, 2 * (1 + 10) / 1024),
        (2, 8, 2 * (1 + 10 + 45) / 1024),
    ],
)
def test_mcnemar_by_hand(only_first, only_second, expected):
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_is_the_binomial_test_and_symmetric(only_first, only_second):
    expected = binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-8, abs=1e-280)
    assert mcnemar(only_first, only_second) == mcnemar(only_second, only_first)


def test_mcnemar_refuses_negative_counts():
    with pytest.raises(InputError, match="counts of images are -1 and 2"):
        mcnemar(-1, 2)
