"""The remaining steps of a study, and the estimated time."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field

from edgerift.evade import EvadeRecipe
from edgerift.harden import DataFreeHardenRecipe, HardenRecipe
from edgerift.run import Estimates, Graph, Key, Records, is_running, key_of
from edgerift.settings import Settings
from edgerift.steps import Recipe
from edgerift.study._grid import Cell
from edgerift.study._step_names import cells_of_steps, step_names

if TYPE_CHECKING:
    from edgerift.steps import Store


class StepState(Settings):
    """A step of a study: its name, the number of cells that need it, and its state.

    `needs` are its direct dependencies, and `waits_for` the unfinished ones. `seconds` is its estimated time, None
    where no similar step ever ran, and `spent` the time so far; for a finished one both are its time, None and 0
    without a record. While it runs, `task`, `done` and `total` give its progress and `where` its place; a failed one
    has an `error` and a `log`, and one that it blocks names it in `blocked_by`.
    """

    key: Key
    step: str
    name: str
    cells: int
    state: Literal["finished", "running", "ready", "waiting", "failed", "blocked"]
    needs: tuple[Key, ...] = ()
    waits_for: tuple[Key, ...] = ()
    seconds: float | None
    spent: float
    task: str = ""
    done: int = 0
    total: int = 0
    where: str = ""
    error: str | None = None
    log: str | None = None
    blocked_by: Key | None = None


class Plan(Settings):
    """The state of a study: its cells, its missing steps, and its finished ones.

    Both lists of steps are in topological order. `finished` are the steps with results; missing dependencies of a
    finished one are not needed. `seconds` is the estimate for all missing steps on one worker, `unknown` the number of
    steps without an estimate. `grows` says that some steps will name more dependencies when others are finished.
    `settings` are the values of :func:`setting_values`, where they were asked for.
    """

    type: Literal["plan"] = "plan"
    version: Literal[2] = 2
    study: str
    profile: str
    cells: int
    finished_cells: int
    finished: tuple[StepState, ...]
    missing: tuple[StepState, ...]
    seconds: float
    unknown: int
    grows: bool
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def make_plan(
    name: str,
    profile: str,
    cells: tuple[Cell, ...],
    store: Store,
    known: Collection[Key] = frozenset(),
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Plan:
    """Examine a study: its finished, missing, running and failed steps.

    A cell whose key is `known` was finished elsewhere: it counts as such, and none of its steps are listed. `settings`
    are kept as they are. Raises :class:`~edgerift.errors.StoreError` for a mirror that cannot be reached.
    """
    store.refresh()
    asked = tuple(cell for cell in cells if key_of(cell.recipe) not in known)
    graph = Graph((cell.recipe for cell in asked), store)
    grows = any(_grows(recipe, key, graph) for key, recipe in graph.missing.items())
    finished_cells = len(cells) - len(asked) + sum(graph.key(cell.recipe) in graph.finished for cell in asked)
    graph.look_below()
    states = _States(asked, graph, store)
    missing = tuple(states.missing(key) for key in _in_order(graph, graph.missing))
    return Plan(
        study=name,
        profile=profile,
        cells=len(cells),
        finished_cells=finished_cells,
        finished=tuple(states.finished(key) for key in _in_order(graph, graph.finished)),
        missing=missing,
        seconds=sum(max(0.0, state.seconds - state.spent) for state in missing if state.seconds is not None),
        unknown=sum(state.seconds is None for state in missing),
        grows=grows,
        settings=dict(settings),
    )


def _in_order(graph: Graph, steps: Mapping[Key, Recipe]) -> list[Key]:
    """Sort steps topologically, otherwise keeping their order; not by recursion."""
    placed: dict[Key, None] = {}
    for goal in steps:
        open_steps = [goal]
        while open_steps:
            key = open_steps[-1]
            below = [step for step in graph.needs(key) if step in steps and step not in placed]
            if below and key not in placed:
                open_steps += reversed(below)
                continue
            placed[open_steps.pop()] = None
    return list(placed)


def _grows(recipe: Recipe, key: Key, graph: Graph) -> bool:
    """Return whether a step waits for results that determine its other dependencies."""
    waits = {graph.missing[step].type for step in graph.waits_for(key)}
    if isinstance(recipe, EvadeRecipe):
        return recipe.shard is not None and "select" in waits
    return isinstance(recipe, HardenRecipe | DataFreeHardenRecipe) and not waits.isdisjoint(
        {"tuned", "tuned-answers", "attempt"}
    )


@final
class _States:
    """Describes the state of each step of a graph."""

    def __init__(self, cells: tuple[Cell, ...], graph: Graph, store: Store) -> None:
        self._graph, self._store, self._records = graph, store, Records(store)
        self._known = {record.key: record for record in self._records.all()}
        self._estimates = Estimates(self._known.values())
        self._cells = cells_of_steps(cells, graph)
        self._names = step_names(graph, self._cells)
        for key in graph.missing:
            if self._has_failed(key):
                graph.fail(key)
        self._blocked = graph.blocked()

    def finished(self, key: Key) -> StepState:
        """Describe a finished step."""
        record = self._known.get(key)
        seconds = record.seconds if record is not None and record.state == "finished" else None
        return self._step(key, self._graph.finished[key], state="finished", seconds=seconds, spent=seconds or 0.0)

    def missing(self, key: Key) -> StepState:
        """Describe an unfinished step."""
        recipe, record = self._graph.missing[key], self._known.get(key)
        waits = self._graph.waits_for(key)
        blocked_by = self._blocked.get(key)
        found = self._step(
            key,
            recipe,
            state="blocked" if blocked_by else "waiting" if waits else "ready",
            waits_for=tuple(step for step in self._graph.needs(key) if step in waits),
            seconds=self._estimates.seconds(recipe),
            spent=0.0 if record is None or record.state != "running" else record.seconds,
            blocked_by=blocked_by,
        )
        if record is not None and is_running(record, recipe, self._store):
            return found.replace(
                state="running",
                task=record.task,
                done=record.done,
                total=record.total,
                where=f"{record.host}, process {record.process}",
                spent=record.seconds + max(0.0, time.time() - record.beat),
            )
        if record is not None and self._has_failed(key):
            return found.replace(state="failed", error=record.error, log=str(self._records.log(key)))
        return found

    def _has_failed(self, key: Key) -> bool:
        record = self._known.get(key)
        return record is not None and record.state == "failed"

    def _step(self, key: Key, recipe: Recipe, **fields: Any) -> StepState:
        return StepState(
            key=key,
            step=recipe.type,
            name=self._names[key],
            cells=len(self._cells.get(key, ())),
            needs=self._graph.needs(key),
            **fields,
        )
