"""Pooling over seeds: the mean, its interval, and the number of seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, final

from edgerift.errors import InputError
from edgerift.facts._facts import Facts
from edgerift.facts._metric import Fact
from edgerift.measure import spread

#: Values no further apart agree exactly.
EQUAL: Final = 1e-12


@final
@dataclass(frozen=True)
class Pooled:
    """A mean over `count` facts, with its 95 % interval where there is one."""

    value: float
    low: float | None
    high: float | None
    count: int

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or the value twice where there is none."""
        return self.value if self.low is None else self.low, self.value if self.high is None else self.high

    def times(self, factor: float) -> Pooled:
        """Give the same in a smaller unit, as shares in percent."""
        low, high = (None if end is None else factor * end for end in (self.low, self.high))
        return Pooled(factor * self.value, low, high, self.count)


def pooled(found: Iterable[Fact], over: str = "seed", scale: float = 1.0) -> Pooled | None:
    """Average facts that differ in their seed alone, each times `scale`; None without facts.

    The interval is Student's t over the seeds, cut where no figure of the metric can lie. A single seed, and seeds that
    agree exactly, whose spread is no measure of anything, have the interval of their images where they have one: the
    widest of them, which is that of the fewest images, for no other is wide enough for all. Raises
    :class:`~edgerift.errors.InputError` for two facts of one seed, which is a selection that is too wide.
    """
    known = list(found)
    if not known:
        return None
    places = [getattr(fact, over) for fact in known]
    if len(set(places)) < len(places):
        raise InputError(f"two facts of one {over} among those of '{known[0].metric}'; select them further")
    whole = spread([scale * fact.value for fact in known])
    least, most = (scale * end for end in known[0].reading.metric.within)
    low = None if whole.low is None else max(least, whole.low)
    high = None if whole.high is None else min(most, whole.high)
    values = [fact.value for fact in known]
    own = [(fact.low, fact.high) for fact in known if fact.low is not None and fact.high is not None]
    if own and max(values) - min(values) <= EQUAL:
        low, high = (scale * end for end in max(own, key=lambda ends: ends[1] - ends[0]))
    return Pooled(whole.value, low, high, whole.count)


def difference(first: Facts, second: Facts, scale: float = 1.0) -> Pooled | None:
    """Average `first` - `second`, seed by seed, which is the paired interval; None without a seed that both have."""
    others = second.seeds
    values = [scale * (fact.value - others[seed].value) for seed, fact in first.seeds.items() if seed in others]
    if not values:
        return None
    whole = spread(values)
    return Pooled(whole.value, whole.low, whole.high, whole.count)
