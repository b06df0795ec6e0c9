"""Run what a study needs and does not have, in the order of what needs what, past steps that fail."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, final

from edgerift.recipes import Progress, Recipe, Settings, silent
from edgerift.study._estimate import Estimates
from edgerift.study._graph import Graph, Key
from edgerift.study._records import Records
from edgerift.study._workers import Workers

if TYPE_CHECKING:
    from edgerift.store import Store

#: A step whose worker died this often is not tried again: it is the step that kills it.
_DEATHS: Final = 3


class FailedStep(Settings):
    """A step that failed: a line about the error, the file with the rest, and the steps that it keeps from running."""

    key: Key
    error: str
    log: str
    blocks: tuple[Key, ...]


class RunSummary(Settings):
    """What a run did: the steps it built and the seconds of all workers, its own seconds, and what failed."""

    built: int
    seconds: float
    step_seconds: float
    failed: tuple[FailedStep, ...]


def run_steps(goals: Iterable[Recipe], store: Store, workers: Workers, progress: Progress = silent) -> RunSummary:
    """Build the goals and all they need that the store lacks.

    Of the steps that can run the longest come first, as earlier runs tell. A step that fails keeps those that need it
    from running, and no others. The workers are closed at the end, also when this is interrupted.
    """
    run = _Run(Graph(goals, store), store, workers, progress)
    try:
        run.to_the_end()
    finally:
        workers.close()
    return run.summary()


@final
class _Run:
    """A run's state: the graph, the steps that run now, and those that failed."""

    def __init__(self, graph: Graph, store: Store, workers: Workers, progress: Progress) -> None:
        self._graph, self._workers, self._progress = graph, workers, progress
        self._records = Records(store)
        self._estimates = Estimates(self._records.all())
        self._running: set[Key] = set()
        self._errors: dict[Key, str] = {}
        self._deaths: Counter[Key] = Counter()
        self._built = 0
        self._step_seconds = 0.0
        self._began = time.perf_counter()

    def to_the_end(self) -> None:
        """Start and collect steps until none can run."""
        self._tell()
        while True:
            self._start()
            if not self._running:
                return
            for key, outcome in self._workers.collect().items():
                self._running.discard(key)
                if outcome is None:
                    self._died(key)
                elif outcome.error is not None:
                    self._fail(key, outcome.error)
                else:
                    self._built += 1
                    self._step_seconds += outcome.seconds
                    self._graph.finish(key)
                self._tell(key)

    def summary(self) -> RunSummary:
        """Say what was done."""
        blocked = self._graph.blocked()
        return RunSummary(
            built=self._built,
            seconds=time.perf_counter() - self._began,
            step_seconds=self._step_seconds,
            failed=tuple(
                FailedStep(
                    key=key,
                    error=error,
                    log=str(self._records.log(key)),
                    blocks=tuple(above for above, cause in blocked.items() if cause == key),
                )
                for key, error in self._errors.items()
            ),
        )

    def _start(self) -> None:
        free = self._workers.capacity - len(self._running)
        ready = [key for key in self._graph.ready() if key not in self._running]
        missing = self._graph.missing
        # A long step that starts last would have all other workers wait for it.
        ready.sort(key=lambda key: -(self._estimates.seconds(missing[key]) or 0.0))
        for key in ready[:free]:
            self._running.add(key)
            self._workers.start(key, missing[key])

    def _died(self, key: Key) -> None:
        self._deaths[key] += 1
        if self._deaths[key] >= _DEATHS:
            self._fail(key, f"its worker died {_DEATHS} times; is there memory enough for it?")

    def _fail(self, key: Key, error: str) -> None:
        self._errors[key] = error
        self._graph.fail(key)

    def _tell(self, key: Key | None = None) -> None:
        whole = self._built + len(self._graph.missing)
        note = f"{key}: {self._errors[key]}" if key in self._errors else ""
        self._progress("study", self._built, whole, note)
