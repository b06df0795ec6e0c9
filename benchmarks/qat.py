"""Training the twin compared with torchao's own QAT: accuracy over seeds, from one original.

    python benchmarks/qat.py --original original.safetensors --data cifar10 --data-root DIR [--images 15000]
        [--epochs 2] [--seeds 0 1 2] [--out benchmarks/qat.json]

Each method is trained at each learning rate; the rate is chosen by the mean validation accuracy over the seeds, and the
test accuracies at that rate are compared. A program is judged by its graph twin, which equals the converted graph.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgerift import adapt, deploy, images, measure, zoo
from edgerift.adapt import QatSettings
from edgerift.deploy import Program
from edgerift.images import ImageSet
from edgerift.train import TrainSettings

Method = Callable[[nn.Module, ImageSet, ImageSet, QatSettings], Program]
METHODS: dict[str, tuple[Method, tuple[float, ...]]] = {
    "twin": (
        lambda original, train, held, settings: adapt.run_qat(
            original, train, held, target="mobile", settings=settings
        )[0],
        (0.001, 0.003),
    ),
    "torchao": (
        lambda original, train, held, settings: adapt.torchao_qat(
            original, train, held, target="mobile", settings=settings
        ),
        (0.001, 0.01),
    ),
}


def accuracy(model: nn.Module, image_set: ImageSet) -> float:
    """Measure a module's accuracy on an image set."""
    return measure.accuracy(deploy.twin_scores(model, image_set.images), image_set.labels).value


def rows(original: nn.Module, data: images.ThreeWay, epochs: int, seeds: list[int]) -> list[dict[str, Any]]:
    """Train every method at every rate with every seed."""
    found = []
    for method, (train, rates) in METHODS.items():
        for rate in rates:
            for seed in seeds:
                started = time.perf_counter()
                settings = QatSettings(
                    train=TrainSettings(epochs=epochs, learning_rate=rate, seed=seed, device="cpu"),
                    observe_epochs=max(1, epochs - 1),
                )
                program = train(original, data.train, data.validation, settings)
                model = deploy.twin(program)
                row = {"method": method, "learning_rate": rate, "seed": seed}
                row |= {"validation": accuracy(model, data.validation), "test": accuracy(model, data.test)}
                row["seconds"] = round(time.perf_counter() - started, 1)
                found.append(row)
                print(row, flush=True)
    return found


def summary(found: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Choose each method's rate by validation and give the mean and the spread of the test accuracies there."""
    result = {}
    for method in METHODS:
        mine = [row for row in found if row["method"] == method]
        by_rate = {
            rate: [row for row in mine if row["learning_rate"] == rate] for rate in {r["learning_rate"] for r in mine}
        }
        rate = max(by_rate, key=lambda rate: statistics.mean(row["validation"] for row in by_rate[rate]))
        tests = [row["test"] for row in by_rate[rate]]
        result[method] = {
            "learning_rate": rate,
            "mean": statistics.mean(tests),
            "low": min(tests),
            "high": max(tests),
            "seconds": statistics.median(row["seconds"] for row in mine),
        }
    return result


def main() -> None:
    """Print the rows and the summary, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--original", type=Path, required=True)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--images", type=int, default=15000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    original = zoo.load(arguments.original)
    data = images.open_splits(images.ImagesSettings(source=arguments.data, size=32), arguments.data_root)
    chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[: arguments.images]
    data = data._replace(train=data.train.select(chosen))
    found = rows(original, data, arguments.epochs, arguments.seeds)
    floor = {
        "original": accuracy(original, data.test),
        "ptq": accuracy(deploy.twin(adapt.ptq(original, data.train)), data.test),
    }
    report = {
        "data": arguments.data,
        "images": len(data.train),
        "epochs": arguments.epochs,
        "before": floor,
        "summary": summary(found),
        "rows": found,
    }
    print(json.dumps({"before": floor, "summary": report["summary"]}, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
