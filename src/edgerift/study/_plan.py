"""What a study still has to do, and how long that may take."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Literal

from edgerift.recipes import Settings
from edgerift.study._estimate import Estimates
from edgerift.study._graph import Graph, Key
from edgerift.study._grid import Cell
from edgerift.study._records import Record, Records

if TYPE_CHECKING:
    from edgerift.store import Store


class StepState(Settings):
    """A step that is not finished.

    `waits_for` counts the unfinished steps that it waits for directly. `seconds` is the estimate of its time, None
    where nothing like it ever ran, and `spent` what it took so far. While it runs, `task`, `done` and `total` tell how
    far it is and `where` it runs; a failed one has an `error` and a `log`.
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


#: Steps that name more of what they need once other results are there.
_GROWING = frozenset({"harden", "evade"})


def make_plan(name: str, profile: str, cells: tuple[Cell, ...], store: Store) -> Plan:
    """Look at a study: what is there, what is missing, what runs, what failed."""
    graph = Graph((cell.recipe for cell in cells), store)
    records = Records(store)
    known = {record.key: record for record in records.all()}
    estimates = Estimates(known.values())
    for key in list(graph.missing):
        record = known.get(key)
        if record is not None and record.state == "failed":
            graph.fail(key)
    blocked = graph.blocked()
    states = tuple(_state(key, graph, known.get(key), estimates, key in blocked, records) for key in graph.missing)
    return Plan(
        study=name,
        profile=profile,
        cells=len(cells),
        finished_cells=sum(store.has(cell.recipe) for cell in cells),
        finished=dict(sorted(Counter(recipe.type for recipe in graph.finished.values()).items())),
        missing=states,
        seconds=sum(max(0.0, state.seconds - state.spent) for state in states if state.seconds is not None),
        unknown=sum(state.seconds is None for state in states),
        grows=any(state.step in _GROWING for state in states),
    )


def _state(
    key: Key, graph: Graph, record: Record | None, estimates: Estimates, blocked: bool, records: Records
) -> StepState:
    recipe = graph.missing[key]
    waits = graph.waits_for(key)
    running = record is not None and record.is_running
    failed = record is not None and record.state == "failed"
    state: Literal["running", "ready", "waiting", "failed", "blocked"] = "waiting" if waits else "ready"
    if running or failed or blocked:
        state = "running" if running else "failed" if failed else "blocked"
    found = StepState(
        key=key,
        step=recipe.type,
        state=state,
        waits_for=len(waits),
        seconds=estimates.seconds(recipe),
        spent=0.0 if record is None or failed else record.seconds,
    )
    if running:
        assert record is not None
        since = record.seconds + time.time() - record.beat
        where = f"{record.host}, process {record.process}"
        return found.replace(task=record.task, done=record.done, total=record.total, where=where, spent=since)
    if failed:
        assert record is not None
        return found.replace(error=record.error, log=str(records.log(key)))
    return found
