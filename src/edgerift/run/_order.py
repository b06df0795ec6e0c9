"""The scheduling order of ready steps."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import final

from edgerift.run._estimate import Estimates
from edgerift.run._graph import Graph, Key
from edgerift.run._records import Record, likeness


@final
class Order:
    """Critical path first: a step's estimated seconds plus those of the longest chain of steps that wait for it.

    The last step to start determines the end of a run, so it should be short. A step without an estimate counts as the
    median of the known ones.
    """

    def __init__(self, graph: Graph, records: Iterable[Record]) -> None:
        known = list(records)
        self._graph = graph
        self._estimates = Estimates(known)
        self._known = [record.seconds for record in known if record.state == "finished"]
        self._likeness: dict[Key, str] = {}

    def learn(self, record: Record) -> None:
        """Record a finished step."""
        self._estimates.add(record)
        self._known.append(record.seconds)

    def first(self, keys: Iterable[Key]) -> list[Key]:
        """Sort steps; the sort is stable."""
        ways: dict[Key, float] = {}
        middle = statistics.median(self._known) if self._known else 1.0
        return sorted(keys, key=lambda key: -self._way(key, middle, ways))

    def _way(self, key: Key, middle: float, ways: dict[Key, float]) -> float:
        """Compute the longest path from a step; not by recursion, because chains may be long."""
        open_steps = [key]
        while open_steps:
            step = open_steps[-1]
            above = self._graph.needed_by(step)
            unknown = [] if step in ways else [one for one in above if one not in ways]
            if unknown:
                open_steps += unknown
                continue
            open_steps.pop()
            if step not in ways:
                ways[step] = self._seconds(step, middle) + max((ways[one] for one in above), default=0.0)
        return ways[key]

    def _seconds(self, key: Key, middle: float) -> float:
        recipe = self._graph.missing[key]
        if key not in self._likeness:
            self._likeness[key] = likeness(recipe)
        found = self._estimates.of(recipe.type, self._likeness[key])
        return middle if found is None else found
