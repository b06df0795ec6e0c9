"""How long a step will take, as earlier runs tell."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from typing import final

from edgerift.recipes import Recipe
from edgerift.study._records import Record, likeness


@final
class Estimates:
    """The median of steps that differ in their seeds alone, else of all steps of that type, else nothing."""

    def __init__(self, records: Iterable[Record]) -> None:
        alike: defaultdict[str, list[float]] = defaultdict(list)
        typed: defaultdict[str, list[float]] = defaultdict(list)
        for record in records:
            if record.state == "finished":
                alike[record.likeness].append(record.seconds)
                typed[record.step].append(record.seconds)
        self._alike = {name: statistics.median(seconds) for name, seconds in alike.items()}
        self._typed = {name: statistics.median(seconds) for name, seconds in typed.items()}

    def seconds(self, recipe: Recipe) -> float | None:
        """Estimate a step's seconds; None when nothing like it ever ran."""
        found = self._alike.get(likeness(recipe))
        return self._typed.get(recipe.type) if found is None else found
