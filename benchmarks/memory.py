"""Memory of a process: what it gains by keeping what it frees, and whether it grows with the work.

    python benchmarks/memory.py [--steps 20] [--turns 3] [--out benchmarks/memory.json]
    python benchmarks/memory.py --curve study [--count 300] [--out benchmarks/memory.json] [--page docs/performance.md]

The first is for `train.keep_freed_memory`: the two modes take turns, each in a process of its own. Times are CPU time,
the kernel's included, and the peak is the largest resident memory of the process.

A curve is the resident memory, in MiB, of a process of one thread that keeps what it frees, as `edgerift` does:
after each few steps of studies of one seed each (train, quantize, build, attack), after each part of a data-free
extraction (`--curve data-free`), or of a long search (`--curve search`). `early` is that after a tenth of the work,
`last` that at its end. With `--out` the curve is laid over what the file holds, and the page has a table of all of
them between its two marks.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from edgerift import adapt, deploy, evade, extract, images, zoo
from edgerift.run import Here, Place, run_steps
from edgerift.steps import Store
from edgerift.study import make_cells, read_study
from edgerift.train import keep_freed_memory

CASES = [
    ("resnet8", 64, "float32"),
    ("resnet8", 256, "float32"),
    ("resnet8", 64, "bfloat16"),
    ("resnet18", 32, "float32"),
    ("resnet18", 32, "bfloat16"),
]
MODES = ("freed", "kept")
MARKS = ("<!-- memory: begin -->", "<!-- memory: end -->")
#: What a curve counts, as the page calls it.
COUNTED = {"study": "steps of small studies", "data-free": "extractions without images", "search": "searches"}


def clocked(model: str, batch: int, precision: str, steps: int) -> dict[str, float]:
    """Train a network on one batch, and count seconds and pages fetched a step."""
    torch.set_num_threads(1)
    network = zoo.create(model, 10, size=32).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    images = torch.rand(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits = network(images)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    for _ in range(3):
        step()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.process_time()
    for _ in range(steps):
        step()
    seconds, after = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": seconds / steps,
        "pages": (after.ru_minflt - before.ru_minflt) / steps,
        "peak_mib": after.ru_maxrss / 1024,
    }


def child(mode: str, case: tuple[str, int, str], steps: int) -> dict[str, float]:
    """Measure in a process of its own."""
    command = [sys.executable, __file__, "--mode", mode, "--case", json.dumps(case), "--steps", str(steps)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(told.stdout)
    return found


def compared(case: tuple[str, int, str], steps: int, turns: int) -> dict[str, Any]:
    """Compare the two modes: medians over the turns, and the median of the ratios within a turn."""
    runs = [{mode: child(mode, case, steps) for mode in MODES} for _ in range(turns)]
    medians = {
        mode: {key: statistics.median(run[mode][key] for run in runs) for key in runs[0][mode]} for mode in MODES
    }
    ratios = [run["kept"]["seconds"] / run["freed"]["seconds"] for run in runs]
    return {
        "model": case[0],
        "batch": case[1],
        "precision": case[2],
        **medians,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


STUDY = """
study: memory
title: A small study
seeds: [{seed}]
size: 16
data: {{digits: {{}}}}
originals: {{LeNet: {{model: lenet}}}}
train: {{epochs: 1, batch_size: 64}}
adapt: {{epochs: 1, batch_size: 64}}
evasion:
  adaptations: [ptq]
  target: mobile
  attacks:
    pgd: {{preset: pgd, steps: 2}}
  shard: 64
  shown: pgd
  pictured: []
profiles:
  small: {{}}
"""


def study_steps(count: int, folder: Path) -> Iterator[int]:
    """Run studies of one seed each, one after another, until so many steps were run; yield how many were."""
    done = seed = 0
    while done < count:
        path = folder / "study.yaml"
        path.write_text(STUDY.format(seed=seed))
        goals = [cell.recipe for cell in make_cells(read_study(path, "small"))]
        summary = run_steps(goals, Store(folder / "store"), Here(Place(store=folder / "store", threads=1)))
        assert not summary.failed, summary.failed
        done, seed = done + summary.built, seed + 1
        yield done


def small_pair(folder: Path) -> evade.Pair:
    """Make an untrained original and its build."""
    original = zoo.create("lenet", 10, size=16)
    few = images.load("digits", size=16).train.select(range(64))
    program = adapt.ptq(original, few, target="mobile", calibration_images=64)
    return evade.Pair(original, program, deploy.build(program, runtime="onnxruntime", path=folder / "model.onnx"))


def data_free_steps(count: int, folder: Path) -> Iterator[int]:
    """Steal a build without images, each part with 1,024 queries; yield how many parts are done."""
    pair = small_pair(folder)
    for part in range(count):
        oracle = extract.Oracle(pair.build, budget=1024)
        fields = {"student": "lenet", "batch_size": 64, "width": 8, "latent": 16, "seed": part}
        extract.data_free(oracle, "dfme", classes=10, size=16, points=1, **fields)
        yield part + 1


def search_steps(count: int, folder: Path) -> Iterator[int]:
    """Attack the same images again and again; yield how many searches are done."""
    pair, test = small_pair(folder), images.load("digits", size=16).test.select(range(32))
    for part in range(count):
        evade.search(pair, test, epsilon=8, steps=4, eligible_only=False)
        yield part + 1


CURVES: dict[str, Callable[[int, Path], Iterator[int]]] = {
    "study": study_steps,
    "data-free": data_free_steps,
    "search": search_steps,
}


def resident() -> float:
    """The resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def curve(name: str, count: int) -> dict[str, Any]:
    """Work, and note the memory after each part."""
    torch.set_num_threads(1)
    keep_freed_memory()
    points = []
    with tempfile.TemporaryDirectory() as folder:
        for done in CURVES[name](count, Path(folder)):
            points.append((done, round(resident(), 1)))
    early = next(size for done, size in points if done >= count / 10)
    return {"of": name, "count": count, "points": points, "early": early, "last": points[-1][1]}


def written(out: Path, part: dict[str, Any]) -> dict[str, Any]:
    """Lay a part over what the file holds."""
    kept = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    document = {**kept, **part, "curves": {**kept.get("curves", {}), **part.get("curves", {})}}
    out.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


def put_into(page: Path, curves: dict[str, dict[str, Any]]) -> None:
    """Write the curves as a table in Markdown between the marks of a page."""
    lines = ["| | after a tenth | at the end | ratio |", "|---|--:|--:|--:|"]
    for name in (name for name in COUNTED if name in curves):
        row = curves[name]
        sizes = f"{row['early']:.0f} MiB | {row['last']:.0f} MiB | {row['last'] / row['early']:.2f}"
        lines.append(f"| {row['points'][-1][0]:,} {COUNTED[name]} | {sizes} |")
    content = page.read_text(encoding="utf-8")
    first, last = (content.index(mark) for mark in MARKS)
    page.write_text(content[:first] + "\n".join([MARKS[0], *lines, ""]) + content[last:], encoding="utf-8")


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--curve", choices=CURVES)
    parser.add_argument("--count", type=int, default=300)
    given = parser.parse_args()
    if given.curve is not None:
        found = curve(given.curve, given.count)
        print(json.dumps(found))
        if given.out is not None:
            document = written(given.out, {"curves": {given.curve: found}})
            if given.page is not None:
                put_into(given.page, document["curves"])
        return
    if given.mode is not None:
        if given.mode == "kept" and not keep_freed_memory():
            raise SystemExit("this C library decides for itself what it does with freed memory")
        print(json.dumps(clocked(*given.case, given.steps)))
        return
    rows = []
    print(
        f"{'model':10}{'batch':>6} {'precision':10}{'freed ms':>10}{'kept ms':>10}{'ratio':>7}{'pages':>8}{'kept':>6}"
    )
    for case in CASES:
        row = compared(case, given.steps, given.turns)
        rows.append(row)
        freed, kept = row["freed"], row["kept"]
        print(
            f"{case[0]:10}{case[1]:6} {case[2]:10}{freed['seconds'] * 1e3:10.1f}{kept['seconds'] * 1e3:10.1f}"
            f"{row['ratio']:7.2f}{freed['pages']:8.0f}{kept['pages']:6.0f}",
            flush=True,
        )
    part = {"torch": torch.__version__, "steps": given.steps, "cases": rows}
    written(given.out or Path(__file__).with_suffix(".json"), part)


if __name__ == "__main__":
    main()
