"""A mean over seeds and its interval, against scipy's own t-test."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from edgerift.errors import InputError
from edgerift.measure import Spread, spread

values = st.integers(-5000, 5000).map(lambda number: number / 64)


@given(st.lists(values, min_size=2, max_size=9))
def test_the_interval_is_that_of_the_t_test(given_values):
    found = spread(given_values)
    assert found.count == len(given_values)
    assert found.values == tuple(given_values)
    assert found.value == pytest.approx(math.fsum(given_values) / len(given_values), abs=1e-9)
    if len(set(given_values)) == 1:
        assert found.low == found.value == found.high
        return
    expected = stats.ttest_1samp(given_values, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


@given(st.lists(values, min_size=2, max_size=9), values)
def test_differences_of_pairs_are_the_paired_test(first, shift):
    second = [value * 0.5 + shift for value in reversed(first)]
    differences = [one - other for one, other in zip(first, second, strict=True)]
    assume(len(set(differences)) > 1)
    found = spread(differences)
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6, abs=1e-6)


def test_one_value_tells_nothing_of_the_next():
    assert spread([0.25]) == Spread(value=0.25, low=None, high=None, count=1, values=(0.25,))


@pytest.mark.parametrize("count", [2, 3, 7])
def test_equal_values_have_an_interval_of_no_width(count):
    # Their sum is rounded: a mean that is not the value itself would have a width.
    found = spread([0.1] * count)
    assert (found.value, found.low, found.high) == (0.1, 0.1, 0.1)


def test_a_mean_lies_between_its_values():
    assert spread([1e16, 1.0, -1e16]).value == pytest.approx(1 / 3)


@pytest.mark.parametrize("given_values", [[], [math.nan], [1.0, math.nan], [math.inf, 1.0], [-math.inf, math.inf]])
def test_what_has_no_mean(given_values):
    with pytest.raises(InputError, match=r"a mean of .*; .*"):
        spread(given_values)


def test_a_spread_comes_back_from_json():
    found = spread([0.1, 0.25, 0.4])
    assert Spread.model_validate_json(found.model_dump_json()) == found
