"""Estimates of the duration of steps, from earlier runs."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import final

from edgerift.run._records import Record, likeness
from edgerift.steps import Recipe


@final
class Estimates:
    """The median of steps that differ only in their seeds, else of all steps of that type, else none."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._alike: defaultdict[str, list[float]] = defaultdict(list)
        self._typed: defaultdict[str, list[float]] = defaultdict(list)
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Add the duration of one more step, if it finished."""
        if record.state == "finished":
            self._alike[record.likeness].append(record.seconds)
            self._typed[record.step].append(record.seconds)

    def seconds(self, recipe: Recipe) -> float | None:
        """Estimate a step's seconds; None when no similar step ever ran."""
        return self.of(recipe.type, likeness(recipe))

    def of(self, step: str, alike: str) -> float | None:
        """Estimate the seconds of a step whose type and likeness are known."""
        found = self._alike.get(alike) or self._typed.get(step)
        return statistics.median(found) if found else None
