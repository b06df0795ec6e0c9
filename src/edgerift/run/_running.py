"""Run what a study needs and does not have, in the order of what needs what, continuing past failures."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, final

from edgerift.errors import StoreError
from edgerift.run._graph import Graph, Key
from edgerift.run._order import Order
from edgerift.run._records import Records
from edgerift.run._step import Outcome, settle
from edgerift.run._workers import Workers
from edgerift.settings import Settings
from edgerift.steps import Progress, Recipe, silent

if TYPE_CHECKING:
    from edgerift.steps import Store

#: A step whose worker died this often is not tried again: it is the step that kills it.
_TRIES: Final = 3

#: A disk that machines share shows what another one wrote a little later.
_PATIENCE: Final = 60.0
_PAUSE: Final = 1.0


class FailedStep(Settings):
    """A step that failed: a line about the error, the file with the rest, and the steps that it keeps from running."""

    key: Key
    error: str
    log: str
    blocks: tuple[Key, ...]


class RunSummary(Settings):
    """What a run did: the steps it built and the seconds of all workers, its own seconds, and what failed.

    `deaths` counts the workers that died with a step; Ray replaces its own and does not tell.
    """

    built: int
    seconds: float
    step_seconds: float
    failed: tuple[FailedStep, ...]
    deaths: int = 0


def run_steps(goals: Iterable[Recipe], store: Store, workers: Workers, progress: Progress = silent) -> RunSummary:
    """Build the goals and all they need that the store lacks.

    Of the steps that can run those come first that the most work waits for, as earlier runs tell. A step that fails
    keeps those that need it from running, and no others. A step whose worker dies is tried again, the third and last
    time when nothing else can run and alone, so that no neighbour takes its memory. The workers are closed at the end,
    also when this is interrupted; what they were at goes on in the next run.

    Raises `StoreError` when nothing can go on: the disk is full, the mirror cannot be reached, or what a worker
    finished is not to be seen here.
    """
    try:
        # One request to a mirror that cannot be reached, and not one per step.
        store.refresh()
        run = _Run(Graph(goals, store), store, workers, progress)
        run.to_the_end()
        return run.summary()
    finally:
        workers.close()


@final
class _Run:
    """A run's state: the graph, the steps that run now, and those that failed."""

    def __init__(self, graph: Graph, store: Store, workers: Workers, progress: Progress) -> None:
        self._graph, self._store, self._workers, self._progress = graph, store, workers, progress
        self._records = Records(store)
        self._order = Order(graph, self._records.all())
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
                self._tell(self._ended(key, outcome))

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
            deaths=self._deaths.total(),
        )

    def _start(self) -> None:
        ready = [key for key in self._graph.ready() if key not in self._running]
        first = [key for key in ready if self._deaths[key] < _TRIES - 1]
        if not first and not self._running:
            first = ready[:1]
        free = max(0, self._workers.capacity - len(self._running))
        for key in self._order.first(first)[:free]:
            self._running.add(key)
            self._workers.start(key, self._graph.missing[key])

    def _ended(self, key: Key, outcome: Outcome) -> str:
        """Note what became of a step, and say what there is to say about it."""
        self._step_seconds += outcome.seconds
        recipe = self._graph.missing[key]
        if outcome.again:
            self._deaths[key] += 1
            if self._deaths[key] < _TRIES:
                return f"{key}: {outcome.error}; retrying"
            told = f"{outcome.error}, for the third time; does it have enough memory?"
            outcome = outcome.replace(error=told, again=False)
        record = settle(recipe, outcome, self._records)
        if outcome.error is not None:
            self._errors[key] = outcome.error
            self._graph.fail(key)
            return f"{key}: {outcome.error}"
        self._find(recipe)
        self._order.learn(record)
        self._built += 1
        self._graph.finish(key)
        return ""

    def _find(self, recipe: Recipe) -> None:
        """Make sure that a result which a worker built is seen here, where others may be asked what they need by it."""
        until = time.monotonic() + _PATIENCE
        while not self._sees(recipe, insist=time.monotonic() > until):
            # Reading the folder anew has a network file system look again.
            with contextlib.suppress(OSError):
                any(self._store.root.iterdir())
            time.sleep(_PAUSE)

    def _sees(self, recipe: Recipe, insist: bool) -> bool:
        try:
            if self._store.has(recipe):
                return True
            self._store.refresh()
            if self._store.has(recipe):
                return True
        except StoreError:
            if insist:
                raise
        if insist:
            raise StoreError(
                f"a worker finished {recipe.type}-{recipe.digest()}, but it is not in {self._store.root} here; "
                "give a store that all machines share, or a mirror"
            )
        return False

    def _tell(self, note: str = "") -> None:
        self._progress("study", self._built, self._built + len(self._graph.missing), note)
