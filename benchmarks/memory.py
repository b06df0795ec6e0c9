"""Gain of a training step if the process keeps the memory that it frees (`train.keep_freed_memory`).

    python benchmarks/memory.py [--steps 20] [--turns 3] [--out benchmarks/memory.json]

The two modes take turns, each in a process of its own. Times are CPU time, the kernel's included, and the peak is the
largest resident memory of the process.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from edgerift import zoo
from edgerift.train import keep_freed_memory

CASES = [
    ("resnet8", 64, "float32"),
    ("resnet8", 256, "float32"),
    ("resnet8", 64, "bfloat16"),
    ("resnet18", 32, "float32"),
    ("resnet18", 32, "bfloat16"),
]
MODES = ("freed", "kept")


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


def main() -> None:
    """Measure, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/memory.json"))
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.mode is not None:
        if given.mode == "kept" and not keep_freed_memory():
            raise SystemExit("this C library decides for itself what it does with freed memory")
        print(json.dumps(clocked(*given.case, given.steps)))
        return
    found = []
    print(
        f"{'model':10}{'batch':>6} {'precision':10}{'freed ms':>10}{'kept ms':>10}{'ratio':>7}{'pages':>8}{'kept':>6}"
    )
    for case in CASES:
        row = compared(case, given.steps, given.turns)
        found.append(row)
        freed, kept = row["freed"], row["kept"]
        print(
            f"{case[0]:10}{case[1]:6} {case[2]:10}{freed['seconds'] * 1e3:10.1f}{kept['seconds'] * 1e3:10.1f}"
            f"{row['ratio']:7.2f}{freed['pages']:8.0f}{kept['pages']:6.0f}",
            flush=True,
        )
    given.out.write_text(
        json.dumps({"torch": torch.__version__, "steps": given.steps, "cases": found}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
