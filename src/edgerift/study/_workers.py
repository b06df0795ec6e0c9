"""Who runs the steps: this process, or processes beside it."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, final

from edgerift.recipes import Recipe
from edgerift.study._graph import Key
from edgerift.study._step import Outcome, Place, run_step


class Workers(Protocol):
    """Run steps, at most `capacity` at a time, each to its end."""

    @property
    def capacity(self) -> int:
        """How many steps may run at a time."""

    def start(self, key: Key, recipe: Recipe) -> None:
        """Start a step."""

    def collect(self) -> Mapping[Key, Outcome | None]:
        """Wait for steps to end: what became of them, None for one whose worker died and that is to start again."""

    def close(self) -> None:
        """Let go of the workers; what still runs is stopped."""


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

    def collect(self) -> Mapping[Key, Outcome | None]:
        """Run one step."""
        key, recipe = self._steps.popleft()
        return {key: run_step(recipe, self._place)}

    def close(self) -> None:
        """Do nothing: no step is left half."""


@final
class Processes:
    """Some processes of this machine; one that dies is replaced and its step starts again."""

    def __init__(self, place: Place, count: int) -> None:
        self.capacity = count
        self._place = place
        self._pool = self._new_pool()
        self._running: dict[Future[Outcome], Key] = {}

    def start(self, key: Key, recipe: Recipe) -> None:
        """Start a step in a process that is free."""
        try:
            future = self._pool.submit(run_step, recipe, self._place)
        except BrokenProcessPool:
            self._pool = self._new_pool()
            future = self._pool.submit(run_step, recipe, self._place)
        self._running[future] = key

    def collect(self) -> Mapping[Key, Outcome | None]:
        """Wait until a step ends."""
        ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
        found: dict[Key, Outcome | None] = {}
        for future in ended:
            key = self._running.pop(future)
            found[key] = None if isinstance(future.exception(), BrokenProcessPool) else future.result()
        return found

    def close(self) -> None:
        """Stop the processes."""
        running = [process for process in (self._pool._processes or {}).values() if self._running]
        self._pool.shutdown(wait=not running, cancel_futures=True)
        for process in running:
            process.terminate()

    def _new_pool(self) -> ProcessPoolExecutor:
        # Not forked: a fork would copy threads' locks, and CUDA does not survive it.
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.capacity, mp_context=context)
