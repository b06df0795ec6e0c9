"""The interface of workers for the scheduler, and the simplest one, this process."""

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
        """Wait for steps to end, and return their outcomes.

        Raises `StoreError` when no step can continue, such as for a full disk.
        """

    def close(self) -> None:
        """Release the workers; running steps are stopped, and a later run resumes them."""


@final
class Here:
    """This process, one step after another."""

    capacity = 1

    def __init__(self, place: Place) -> None:
        self._place = place
        self._steps: deque[tuple[Key, Recipe]] = deque()

    def start(self, key: Key, recipe: Recipe) -> None:
        """Queue a step."""
        self._steps.append((key, recipe))

    def collect(self) -> Mapping[Key, Outcome]:
        """Run one step."""
        key, recipe = self._steps.popleft()
        return {key: run_step(recipe, self._place)}

    def close(self) -> None:
        """Drop steps that did not run."""
        self._steps.clear()
