"""Who runs the steps, as the scheduler sees it; and the simplest of them, this process."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Protocol, final

from edgerift.run._graph import Key
from edgerift.run._step import Outcome, Place, run_step
from edgerift.steps import Recipe


class Workers(Protocol):
    """Run steps, at most `capacity` at a time, each to its end."""

    @property
    def capacity(self) -> int:
        """How many steps may run at a time, at least 1; it may change while they run."""

    def start(self, key: Key, recipe: Recipe) -> None:
        """Start a step."""

    def collect(self) -> Mapping[Key, Outcome]:
        """Wait for steps to end, and tell what became of them.

        Raises `StoreError` when no step can go on, such as for a disk that is full.
        """

    def close(self) -> None:
        """Let go of the workers; what still runs is stopped, and a later run goes on with it."""


@final
class Here:
    """This process, one step after another."""

    capacity = 1

    def __init__(self, place: Place) -> None:
        self._place = place
        self._steps: deque[tuple[Key, Recipe]] = deque()

    def start(self, key: Key, recipe: Recipe) -> None:
        """Note a step."""
        self._steps.append((key, recipe))

    def collect(self) -> Mapping[Key, Outcome]:
        """Run one step."""
        key, recipe = self._steps.popleft()
        return {key: run_step(recipe, self._place)}

    def close(self) -> None:
        """Forget what did not run."""
        self._steps.clear()
