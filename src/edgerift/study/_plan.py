"""What a study still has to do, and how long that may take."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Literal

from edgerift.evade import EvadeRecipe
from edgerift.harden import DataFreeHardenRecipe, HardenRecipe
from edgerift.recipes import Recipe, Settings
from edgerift.study._estimate import Estimates
from edgerift.study._graph import Graph, Key, key_of
from edgerift.study._grid import Cell
from edgerift.study._records import Record, Records, is_running

if TYPE_CHECKING:
    from edgerift.store import Store


class StepState(Settings):
    """A step that is not finished.

    `waits_for` counts the unfinished steps that it waits for directly. `seconds` is the estimate of its time, None
    where nothing like it ever ran, and `spent` what it took so far. While it runs, `task`, `done` and `total` tell how
    far it is and `where` it runs; a failed one has an `error` and a `log`, and one that it blocks names it in
    `blocked_by`.
    """

    key: Key
    step: str
    state: Literal["running", "ready", "waiting", "failed", "blocked"]
    waits_for: int
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
    """A study at one moment: its cells, the steps that it needs and lacks, and those that it has.

    `finished` counts by type the finished steps that were looked at: nothing is looked for below a finished one.
    `seconds` is the estimate of all missing steps together on one worker, `unknown` the number of those that nothing
    is known about. `grows` says that some steps will name more of what they need when others are finished.
    """

    type: Literal["plan"] = "plan"
    version: Literal[1] = 1
    study: str
    profile: str
    cells: int
    finished_cells: int
    finished: dict[str, int]
    missing: tuple[StepState, ...]
    seconds: float
    unknown: int
    grows: bool

    @property
    def is_finished(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def make_plan(name: str, profile: str, cells: tuple[Cell, ...], store: Store) -> Plan:
    """Look at a study: what is there, what is missing, what runs, what failed.

    Raises :class:`~edgerift.errors.StoreError` for a mirror that cannot be reached.
    """
    store.refresh()
    graph = Graph((cell.recipe for cell in cells), store)
    records = Records(store)
    known = {record.key: record for record in records.all()}
    estimates = Estimates(known.values())
    for key in list(graph.missing):
        record = known.get(key)
        if record is not None and record.state == "failed":
            graph.fail(key)
    blocked = graph.blocked()
    states = []
    for key, recipe in graph.missing.items():
        record = known.get(key)
        running = is_running(record, recipe, store)
        state = _state(key, graph, record, estimates, blocked.get(key), running)
        states.append(state.replace(log=str(records.log(key))) if state.state == "failed" else state)
    return Plan(
        study=name,
        profile=profile,
        cells=len(cells),
        finished_cells=sum(key_of(cell.recipe) in graph.finished for cell in cells),
        finished=dict(sorted(Counter(recipe.type for recipe in graph.finished.values()).items())),
        missing=tuple(states),
        seconds=sum(max(0.0, state.seconds - state.spent) for state in states if state.seconds is not None),
        unknown=sum(state.seconds is None for state in states),
        grows=any(_grows(recipe, key, graph) for key, recipe in graph.missing.items()),
    )


def _grows(recipe: Recipe, key: Key, graph: Graph) -> bool:
    """Tell whether a step waits for results that tell which others it needs."""
    waits = {graph.missing[step].type for step in graph.waits_for(key)}
    if isinstance(recipe, EvadeRecipe):
        return recipe.shard is not None and "select" in waits
    return isinstance(recipe, HardenRecipe | DataFreeHardenRecipe) and not waits.isdisjoint({"tuned", "tuned-answers"})


def _state(
    key: Key, graph: Graph, record: Record | None, estimates: Estimates, blocked_by: Key | None, running: bool
) -> StepState:
    recipe = graph.missing[key]
    waits = graph.waits_for(key)
    failed = record is not None and record.state == "failed"
    found = StepState(
        key=key,
        step=recipe.type,
        state="failed" if failed else "blocked" if blocked_by else "waiting" if waits else "ready",
        waits_for=len(waits),
        seconds=estimates.seconds(recipe),
        spent=0.0 if record is None or record.state != "running" else record.seconds,
        blocked_by=blocked_by,
    )
    if record is None:
        return found
    if running:
        return found.replace(
            state="running",
            task=record.task,
            done=record.done,
            total=record.total,
            where=f"{record.host}, process {record.process}",
            spent=record.seconds + max(0.0, time.time() - record.beat),
        )
    return found.replace(error=record.error) if failed else found
