"""Overhead of a study, and the gain of a second worker.

    python benchmarks/study.py [--parts overhead speedup] [--seeds 2] [--steps 12] [--epochs 60] [--turns 3] \
        [--out benchmarks/study.json]

- `overhead`: a small study (resnet8 on the embedded digits, adapted twice, built for ExecuTorch, attacked in shards),
  in this process and in two processes. The overhead is the workers' time minus the steps' own work, which is their
  `produce`. `store` is what a worker does around a step (locks, hashes, flushed files, record, log), `way` is the
  transfer of a step to another process and of its outcome back, `scheduler` is the time in which the scheduler does not
  wait. A run of another seed, which is not measured, does the imports in this process; those of the two processes are
  reported as `start-up`. The time of the store is measured in this process for both.
- `speedup`: equal steps (lenet trained on the digits with one thread, each with a seed of its own) on a Ray cluster of
  one node of one core, and of two such nodes. Every worker has run a short step before the clock starts.

All times are wall-clock seconds, medians over turns; nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from edgerift import zoo
from edgerift.images import ImagesSettings, resolve
from edgerift.run import Here, OnRay, Outcome, Place, Processes, Workers, run_steps
from edgerift.steps import Recipe, Store
from edgerift.study import make_cells, read_study
from edgerift.train import TrainRecipe, TrainSettings

FILE = """
study: overhead
title: A small study
seeds: {seeds}
size: 16
data: {{digits: {{}}}}
originals: {{ResNet: {{model: resnet8}}}}
train: {{epochs: 8, batch_size: 64}}
adapt: {{epochs: 1, batch_size: 64}}
evasion:
  adaptations: [ptq, qat]
  target: mobile
  attacks:
    pgd: {{preset: pgd, change: {{stop: never}}}}
    diva: {{preset: diva-2022, change: {{stop: never}}}}
    default: {{preset: default, change: {{stop: never}}}}
  shard: 128
  shown: default
  pictured: []
profiles:
  small: {{}}
"""


class Watched:
    """Workers under a stopwatch."""

    def __init__(self, workers: Workers) -> None:
        """Watch some workers."""
        self._workers = workers
        self._left: dict[str, float] = {}
        #: For each step how long it was away, and how long it ran there.
        self.steps: dict[str, tuple[float, float]] = {}
        #: How long the scheduler waited for steps.
        self.waited = 0.0

    @property
    def capacity(self) -> int:
        """Delegate."""
        return self._workers.capacity

    def start(self, key: str, recipe: Recipe) -> None:
        """Note when a step leaves."""
        self._left[key] = time.perf_counter()
        self._workers.start(key, recipe)

    def collect(self) -> Mapping[str, Outcome]:
        """Note when steps are back."""
        began = time.perf_counter()
        found = self._workers.collect()
        now = time.perf_counter()
        self.waited += now - began
        for key, outcome in found.items():
            self.steps[key] = (now - self._left[key], outcome.seconds)
        return found

    def close(self) -> None:
        """Delegate."""
        self._workers.close()


@contextmanager
def timed_produce() -> Iterator[list[float]]:
    """Measure the steps' own work in this process."""
    spent: list[float] = []
    kinds = [kind for kind in _below(Recipe) if "produce" in vars(kind)]
    own = {kind: kind.produce for kind in kinds}

    def timed(produce: Callable[..., None]) -> Callable[..., None]:
        def measured(recipe: Recipe, *given: Any) -> None:
            began = time.perf_counter()
            produce(recipe, *given)
            spent.append(time.perf_counter() - began)

        return measured

    for kind, produce in own.items():
        kind.produce = timed(produce)  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        for kind, produce in own.items():
            kind.produce = produce  # type: ignore[method-assign]


def _below(kind: type[Recipe]) -> list[type[Recipe]]:
    return [found for below in kind.__subclasses__() for found in (below, *_below(below))]


def goals_of(folder: Path, seeds: list[int]) -> list[Recipe]:
    """Write a study and list the recipes of its cells."""
    path = folder / "study.yaml"
    path.write_text(FILE.format(seeds=seeds))
    return [cell.recipe for cell in make_cells(read_study(path, "small"))]


def run(goals: list[Recipe], root: Path, make: Callable[[Place], Workers]) -> tuple[float, Watched]:
    """Run steps with one thread: the seconds of the whole run, and the stopwatch."""
    watched = Watched(make(Place(store=root, threads=1)))
    began = time.perf_counter()
    summary = run_steps(goals, Store(root), watched)
    seconds = time.perf_counter() - began
    assert not summary.failed, summary.failed
    return seconds, watched


def in_this_process(goals: list[Recipe], root: Path) -> dict[str, float]:
    """Tell apart the steps' work, the store and the scheduler."""
    with timed_produce() as spent:
        seconds, watched = run(goals, root, Here)
    assert len(spent) == len(watched.steps), "no step built another one"
    ran, work = sum(own for _, own in watched.steps.values()), sum(spent)
    row = {"steps": len(spent), "seconds": seconds, "work": work, "store": ran - work, "scheduler": seconds - ran}
    return {**row, "share": 1 - work / seconds}


def in_two_processes(goals: list[Recipe], root: Path, store: float) -> dict[str, float]:
    """Tell apart the steps' work, the way to the processes and back, and the scheduler."""
    seconds, watched = run(goals, root, lambda place: Processes(place, 2))
    ways = sorted(away - own for away, own in watched.steps.values())
    way, scheduler = sum(ways[:-2]), seconds - watched.waited
    ran = sum(own for _, own in watched.steps.values())
    row = {"steps": len(ways), "seconds": seconds, "work": ran - store, "store": store, "scheduler": scheduler}
    share = (store + scheduler + way) / (ran + scheduler + way)
    return {**row, "way": way, "start-up": sum(ways[-2:]), "share": share}


def overhead(folder: Path, seeds: int, turns: int) -> dict[str, Any]:
    """Measure the layer's share in both places, and a second run of what is finished."""
    run(goals_of(folder, [seeds]), folder / "warm", Here)
    goals = goals_of(folder, list(range(seeds)))
    here = middle([in_this_process(goals, folder / f"here-{turn}") for turn in range(turns)])
    two = middle([in_two_processes(goals, folder / f"two-{turn}", here["store"]) for turn in range(turns)])
    again, _ = run(goals, folder / "here-0", Here)
    return {"this process": here, "two processes": two, "a second run": {"seconds": again}}


def trainings(seeds: range, epochs: int) -> list[Recipe]:
    """Describe equal steps."""
    images = resolve(ImagesSettings(source="digits", size=32))
    architecture = zoo.Architecture(name="lenet", classes=10, size=32)
    return [
        TrainRecipe(
            images=images,
            architecture=architecture,
            settings=TrainSettings(epochs=epochs, batch_size=64, seed=seed),
            init_seed=seed,
        )
        for seed in seeds
    ]


def speedup(folder: Path, steps: int, epochs: int, turns: int) -> dict[str, Any]:
    """Train on one node, and on two."""
    # Ray looks at these when it is imported first; nobody else is to use this one.
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        rows = {}
        for nodes in (1, 2):
            if nodes == 2:
                cluster.add_node(**node)
            found = []
            for turn in range(turns):
                root = folder / f"ray-{nodes}-{turn}"
                workers = OnRay(Place(store=root, threads=1), cluster.address)
                found.append(_trained(root, workers, steps, epochs, nodes))
            rows[f"{nodes} worker{'s' * (nodes - 1)}"] = middle(found)
    finally:
        cluster.shutdown()
    rows["times as fast"] = {"seconds": rows["1 worker"]["seconds"] / rows["2 workers"]["seconds"]}
    return rows


def _trained(root: Path, workers: Workers, steps: int, epochs: int, nodes: int) -> dict[str, float]:
    kept = Kept(workers)
    try:
        run_steps(trainings(range(1000, 1000 + 2 * nodes), 1), Store(root), kept)
        began = time.perf_counter()
        summary = run_steps(trainings(range(steps), epochs), Store(root), kept)
        seconds = time.perf_counter() - began
    finally:
        workers.close()
    assert summary.built == steps, summary.failed
    return {"steps": steps, "seconds": seconds, "work": summary.step_seconds}


class Kept:
    """Workers that are not closed at the end of a run: the next one uses them."""

    def __init__(self, workers: Workers) -> None:
        """Keep some workers."""
        self._workers = workers
        self.start, self.collect = workers.start, workers.collect

    @property
    def capacity(self) -> int:
        """Delegate."""
        return self._workers.capacity

    def close(self) -> None:
        """Leave them open."""


def middle(rows: list[dict[str, float]]) -> dict[str, float]:
    """Take the median of each figure."""
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print a table."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    print(f"{title:<16}" + "".join(f"{name:>11}" for name in names))
    for label, row in rows.items():
        cells = (format(row[name], ".2%" if name == "share" else ".3g") if name in row else "" for name in names)
        print(f"{label:<16}" + "".join(f"{cell:>11}" for cell in cells))
    print(flush=True)


def main() -> None:
    """Measure, print the tables and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="*", choices=("overhead", "speedup"), default=("overhead", "speedup"))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if "overhead" in arguments.parts:
            results["overhead"] = overhead(Path(folder), arguments.seeds, arguments.turns)
            show("overhead", results["overhead"])
        if "speedup" in arguments.parts:
            results["speedup"] = speedup(Path(folder), arguments.steps, arguments.epochs, arguments.turns)
            show("speedup", results["speedup"])
    given = {name: value for name, value in vars(arguments).items() if name != "out"}
    header = {"torch": torch.__version__, "cores": os.cpu_count(), **given}
    arguments.out.write_text(json.dumps({**header, **results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
