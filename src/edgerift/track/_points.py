"""The facts of a cell as points of curves: named by their place, in the words of `records.csv`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from edgerift.facts import Fact, Facts, readings, theft_name

_LONGEST_NAME: Final = 60


class Point(NamedTuple):
    """One figure: a single one at step 0, or one of a curve."""

    name: str
    value: float
    step: int = 0


def fact_points(found: Facts) -> Iterator[Point]:
    """Give the measured facts of one cell, but for epochs: those of a figure under one name, each with its ends.

    A figure over whole numbers has them as its steps. One over other numbers, as an alpha, has steps from 1 and the
    part of the document in its name, beside which `over` says what each step is. What is over names, as classes, has a
    name for each of them.
    """
    known = [fact for fact in found.where(source="measured") if fact.reading.part != readings.EPOCH.name]
    keys = distinct_keys(segment for fact in known for segment in _segments(fact))
    steps: dict[str, int] = {}
    over: set[Point] = set()
    for fact in known:
        segments = [keys[segment] for segment in _segments(fact)]
        name = ".".join(segments)
        step = fact.at if isinstance(fact.at, int) else 0
        if isinstance(fact.at, float):
            step = steps[name] = steps.get(name, 0) + 1
            over.add(Point(".".join([*segments[:-1], "over"]), fact.at, step))
        for ending, value in (("", fact.value), (".low", fact.low), (".high", fact.high)):
            if value is not None:
                yield Point(f"{name}{ending}", float(value), step)
    yield from sorted(over)


def distinct_keys(names: Iterable[str]) -> dict[str, str]:
    """Find for each name one that may be part of a metric's: letters, digits, spaces, `-` and `_`, no two equal.

    >>> distinct_keys(["divqat+rs", "divqat.rs", "qat"])
    {'divqat+rs': 'divqat_rs', 'divqat.rs': 'divqat_rs_', 'qat': 'qat'}
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys(names):
        key = re.sub(r"[^0-9A-Za-z_ -]", "_", name)[:_LONGEST_NAME] or "_"
        while key in found.values():
            key += "_"
        found[name] = key
    return found


def _segments(fact: Fact) -> tuple[str, ...]:
    """List what identifies a fact within its cell, and its metric."""
    attack = theft_name(fact.attack, fact.epsilon, fact.control)
    place = [fact.victim, attack, fact.against, fact.student, fact.labels]
    place += [fact.about, fact.reading.part] if isinstance(fact.at, float) else []
    at = [fact.at] if isinstance(fact.at, str) else []
    return tuple(filter(None, [*place, *at, fact.metric]))
