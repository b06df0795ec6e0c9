"""What several seeds say together, against closed forms: means, Student's interval, and that of the images."""

from collections.abc import Sequence

import numpy as np
import pytest
from made_study import made_diva
from scipy import stats

from edgerift.errors import InputError
from edgerift.facts import Fact, Facts, Reading, difference, pooled, readings
from edgerift.measure import Rate, interval

RESULT = made_diva(("cifar10",), ("ResNet",), (0,), missing=False)


def made(values: Sequence[float], reading: Reading = readings.EVASIVE, half: float | None = None) -> Facts:
    """Facts of one seed each, with an interval of their images or without."""
    ends = [(None, None) if half is None else (value - half, value + half) for value in values]
    return Facts(
        RESULT,
        [
            Fact(reading, value, seed=seed, low=low, high=high)
            for seed, (value, (low, high)) in enumerate(zip(values, ends, strict=True))
        ],
    )


def student(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean and Student's interval, by scipy."""
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    return float(np.mean(values)), float(low), float(high)


@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("half", [None, 0.2])
def test_seeds_that_differ_have_students_interval(scale: float, half: float | None) -> None:
    values = (0.41, 0.43, 0.46, 0.44)
    found = pooled(made(values, half=half), scale=scale)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx(student([scale * value for value in values]))
    assert found.count == 4


@pytest.mark.parametrize(
    ("reading", "values", "low", "high"),
    [
        (readings.EVASIVE, (0.02, 0.99), 0.0, 1.0),
        (readings.L1, (0.1, 1.9), 0.0, 2.0),
        (readings.SSIM, (-0.9, 0.9), -1.0, 1.0),
        (readings.LINF, (1.0, 9.0), 0.0, student((1.0, 9.0))[2]),
    ],
)
def test_an_interval_is_cut_where_no_figure_can_lie(
    reading: Reading, values: Sequence[float], low: float, high: float
) -> None:
    found = pooled(made(values, reading))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_seed_and_seeds_that_agree_keep_the_exact_interval_of_the_images(count: int) -> None:
    rate = interval(Rate(0, 48))
    facts = [Fact(readings.EVASIVE, rate.value, seed=seed, low=rate.low, high=rate.high) for seed in range(count)]
    found = pooled(facts)
    assert found is not None
    assert (found.value, found.low, found.high) == (0.0, rate.low, rate.high)
    assert rate.high == pytest.approx(1 - 0.025 ** (1 / 48))


@pytest.mark.parametrize("order", [1, -1])
def test_seeds_that_agree_have_the_interval_of_the_fewest_images(order: int) -> None:
    rates = [interval(Rate(count // 2, count)) for count in (100, 40, 90)][::order]
    facts = [Fact(readings.EVASIVE, one.value, seed=seed, low=one.low, high=one.high) for seed, one in enumerate(rates)]
    found, fewest = pooled(facts, scale=100), interval(Rate(20, 40))
    assert found is not None
    assert (found.low, found.high) == (100 * fewest.low, 100 * fewest.high)


def test_without_an_interval_of_images_one_seed_has_none_and_equal_seeds_one_of_no_width() -> None:
    one, two = pooled(made((0.5,))), pooled(made((0.5, 0.5)))
    assert one is not None
    assert two is not None
    assert (one.low, one.high, one.ends) == (None, None, (0.5, 0.5))
    assert (two.low, two.high) == (0.5, 0.5)


def test_nothing_is_the_mean_of_nothing() -> None:
    assert pooled([]) is None
    assert difference(made((0.5,)), made(())) is None


def test_differences_are_paired_by_seed() -> None:
    first = made((0.5, 0.6, 0.9))
    second = Facts(RESULT, [Fact(readings.EVASIVE, 0.7, seed=2), Fact(readings.EVASIVE, 0.3, seed=1)])
    found = difference(first, second, 100)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx(student([30.0, 20.0]))
    assert found.count == 2


def test_two_facts_of_one_seed_are_a_selection_that_is_too_wide() -> None:
    with pytest.raises(InputError, match="two facts of one seed among those of 'evasive at any step'; select"):
        pooled([Fact(readings.EVASIVE, 0.1, seed=0), Fact(readings.EVASIVE, 0.2, seed=0)])
