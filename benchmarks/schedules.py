"""Which training of the original suits the digits: errors on held-out training images, in five folds.

    python benchmarks/schedules.py [--schedules 30:128:0.1 20:64:0.1 15:64:0.1 15:64:0.2] \
        [--network resnet8] [--out benchmarks/schedules.json]

A schedule is epochs:images per step:peak learning rate. Each image of the training set is held out once; the test
images are not looked at. Folds that the file holds are not trained again. Times are CPU time with one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from edgerift import images, train, zoo

FOLDS = 5
#: What the command line had, candidates, and what it has.
SCHEDULES = ["30:128:0.1", "20:64:0.1", "15:64:0.1", "15:64:0.2"]


def fold_of(network: str, schedule: str, fold: int, whole: images.ImageSet) -> dict[str, Any]:
    """Train on the other folds by a schedule, and count what is wrong in this one."""
    epochs, batch, rate = schedule.split(":")
    parts = torch.randperm(len(whole), generator=torch.Generator().manual_seed(0)).chunk(FOLDS)
    held = whole.select(parts[fold])
    others = whole.select(torch.cat([part for place, part in enumerate(parts) if place != fold]))
    settings = train.TrainSettings(
        epochs=int(epochs), batch_size=int(batch), learning_rate=float(rate), precision="auto", device="cpu", seed=fold
    )
    started = time.process_time()
    trained = train.run(zoo.create(network, 10, size=32, seed=fold), others, held, settings)
    last = trained.history.epochs[-1]
    assert last.validation_accuracy is not None
    return {
        "fold": fold,
        "images": len(held),
        "wrong": round((1 - last.validation_accuracy) * len(held)),
        "loss": last.validation_loss,
        "seconds": round(time.process_time() - started, 2),
    }


def main() -> None:
    """Train what is missing, write the file and print a line for each schedule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schedules", nargs="+", default=SCHEDULES)
    parser.add_argument("--network", default="resnet8")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    train.keep_freed_memory()
    whole = images.load("digits", size=32).train
    found: dict[str, list[dict[str, Any]]] = {}
    if given.out.is_file():
        found = json.loads(given.out.read_text(encoding="utf-8"))
    for schedule in given.schedules:
        name = schedule if given.network == "resnet8" else f"{given.network} {schedule}"
        rows = found.setdefault(name, [])
        for fold in range(len(rows), FOLDS):
            rows.append(fold_of(given.network, schedule, fold, whole))
            given.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        wrong, count, loss, seconds = (sum(row[key] for row in rows) for key in ("wrong", "images", "loss", "seconds"))
        print(f"{name}: {wrong} of {count} wrong, loss {loss / FOLDS:.4f}, {seconds / FOLDS:.1f} s", flush=True)


if __name__ == "__main__":
    main()
