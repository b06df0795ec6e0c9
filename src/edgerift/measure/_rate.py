"""Shares with their exact intervals, and the exact test for paired ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgerift.errors import InputError

#: An accuracy is near chance when it may lie within this part of the way from the most common class's share to 1.
_NEAR: Final = 0.1
#: It is far below another one when it has surely lost this part of what that has beyond guessing.
_LOST: Final = 0.25


@dataclass(frozen=True, slots=True)
class Rate:
    """`successes` out of `trials`, with the exact two-sided interval at `confidence`.

    The interval is that of Clopper and Pearson, https://doi.org/10.1093/biomet/26.4.404: with
    a = 1 - confidence, `low` is the a/2 quantile of Beta(successes, trials - successes + 1), or 0 without
    successes, and `high` the 1 - a/2 quantile of Beta(successes + 1, trials - successes), or 1 without
    failures.

    Raises `InputError` without trials, with more successes than trials, or with a confidence outside (0, 1).

    >>> print(Rate(45, 50))
    90.0 % [78.2, 96.7] (45 of 50)
    """

    successes: int
    trials: int
    confidence: float = 0.95

    def __post_init__(self) -> None:
        """Check the counts; raises `InputError`."""
        if self.trials < 1:
            raise InputError(f"a rate over {self.trials} trials has no value; at least 1 trial is needed")
        if not 0 <= self.successes <= self.trials:
            raise InputError(f"{self.successes} successes of {self.trials} trials; allowed: 0 to {self.trials}")
        if not 0 < self.confidence < 1:
            raise InputError(f"a confidence of {self.confidence}; allowed: between 0 and 1, such as 0.95")

    @property
    def value(self) -> float:
        """The share of successes, in [0, 1]."""
        return self.successes / self.trials

    @property
    def low(self) -> float:
        """The lower confidence bound, in [0, 1]."""
        if self.successes == 0:
            return 0.0
        return _beta_quantile((1 - self.confidence) / 2, self.successes, self.trials - self.successes + 1)

    @property
    def high(self) -> float:
        """The upper confidence bound, in [0, 1]."""
        if self.successes == self.trials:
            return 1.0
        return _beta_quantile((1 + self.confidence) / 2, self.successes + 1, self.trials - self.successes)

    @property
    def complement(self) -> Rate:
        """The rate of failures: an error is the complement of an accuracy."""
        return Rate(self.trials - self.successes, self.trials, self.confidence)

    def __str__(self) -> str:
        """Write the rate and its interval in percent."""
        interval = f"[{self.low:.1%}, {self.high:.1%}]".replace("%", "")
        return f"{100 * self.value:.1f} % {interval} ({self.successes} of {self.trials})"

    def as_dict(self) -> dict[str, float]:
        """Return the counts, the value and the interval as plain numbers for JSON."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "successes": self.successes,
            "trials": self.trials,
            "confidence": self.confidence,
        }


def mcnemar(only_first: int, only_second: int) -> float:
    """Test whether one side is better on paired images: the probability of a split at least this uneven.

    `only_first` and `only_second` count the images that only the first or only the second side got right. The
    two-sided exact p in (0, 1] is min(1, 2 P(X <= min(only_first, only_second))) with X ~ Binomial(only_first
    + only_second, 1/2): McNemar, https://doi.org/10.1007/BF02295996, without its normal approximation.
    Without differing images it is 1. Raises `InputError` for a negative count.

    >>> mcnemar(0, 5)
    0.0625
    """
    from scipy.special import bdtr

    if only_first < 0 or only_second < 0:
        raise InputError(f"counts of images are {only_first} and {only_second}; allowed: 0 or more")
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))


def is_near_chance(found: Rate, commonest: Rate, classes: int) -> bool:
    """Tell whether chance explains an accuracy; `commonest` is the share of the most common of the `classes`.

    Its exact interval begins near that share, or below, and ends below the middle between guessing and 1: the first
    alone would be true of few images, and of sets of nearly one class, however well a model knows them.

    >>> is_near_chance(Rate(12, 100), Rate(11, 100), 10), is_near_chance(Rate(40, 100), Rate(11, 100), 10)
    (True, False)
    """
    share = commonest.value
    return found.low <= share + _NEAR * (1 - share) and found.high < (1 + 1 / classes) / 2


def is_far_below(found: Rate, other: Rate, classes: int) -> bool:
    """Tell whether an accuracy has surely lost a quarter of what another one has beyond guessing one of the `classes`.

    >>> is_far_below(Rate(30, 100), Rate(90, 100), 10), is_far_below(Rate(80, 100), Rate(90, 100), 10)
    (True, False)
    """
    guessed = 1 / classes
    return found.high < guessed + (1 - _LOST) * (other.low - guessed)


def fisher(first: Rate, second: Rate) -> float:
    """Test whether two rates over different images differ: the p-value in (0, 1].

    Fisher's exact two-sided test of the counts, https://doi.org/10.2307/2340521.

    >>> round(fisher(Rate(0, 5), Rate(5, 5)), 4)
    0.0079
    """
    from scipy.stats import fisher_exact

    table = [[rate.successes, rate.trials - rate.successes] for rate in (first, second)]
    return float(fisher_exact(table).pvalue)


def _beta_quantile(probability: float, first: int, second: int) -> float:
    from scipy.special import betaincinv

    return float(betaincinv(first, second, probability))
