"""A claim of a paper as a difference of two figures of one place and seed of the grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final

from edgerift.facts._facts import Facts
from edgerift.facts._metric import Fact, Reading

ClaimUnit: TypeAlias = Literal["points", "percent", "nats", "l1"]
Difference: TypeAlias = Callable[[Facts], float | None]


@final
@dataclass(frozen=True)
class Stated:
    """What a paper says and prints, and the difference that would show it.

    `difference` is of the facts of one place and seed, None where they lack one of its figures; `unit` is that of the
    difference (percentage points, percent, nats, or l1 in [0, 2]). The claim is that the difference lies above `bound`,
    or below it. A claim about extraction is on the study's first target, or on the first that stands for the paper's
    `paper_target`; `thief` is the kind of labels of the attackers whose clones it compares with those of the plain
    build; `priced` are two victims whose cost to the owner may differ; `over_alpha` says that the difference is between
    two ends of the alphas that were trained.
    """

    name: str
    statement: str
    published: str
    measured: str
    difference: Difference
    unit: ClaimUnit = "points"
    bound: float = 0.0
    side: Literal["above", "below"] = "above"
    paper_target: Literal["server", "mobile"] | None = None
    thief: Literal["soft", "hard"] | None = None
    priced: tuple[str, str] | None = None
    over_alpha: bool = False


def only(found: Facts, reading: Reading[Any], **wanted: object) -> Fact | None:
    """Give the fact of one place and seed; None where there is none."""
    return next(iter(found.of(reading, **wanted)), None)


def minus(first: tuple[Reading[Any], dict[str, object]], second: tuple[Reading[Any], dict[str, object]]) -> Difference:
    """Take a figure from another one; shares in points."""

    def difference(found: Facts) -> float | None:
        one, other = (only(found, reading, **wanted) for reading, wanted in (first, second))
        if one is None or other is None:
            return None
        return (100 if one.reading.metric.unit == "share" else 1) * (one.value - other.value)

    return difference
