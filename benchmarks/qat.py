"""Training the twin compared with torchao's own QAT: accuracy over seeds, from one original.

    python benchmarks/qat.py --original original.safetensors --data cifar10 --data-root DIR [--images 15000]
        [--epochs 2] [--seeds 0 1 2] [--tested N] [--target mobile]
        [--methods twin alive torchao] [--out benchmarks/qat.json]

`twin` trains with batch normalisations folded and frozen, `alive` with living ones, and `torchao` is the reference,
whose live too. Each method is trained at each learning rate; the rate is chosen by the mean validation accuracy over
the seeds, and the test accuracies at that rate are compared. A program is judged by its graph twin, which equals the
converted graph. The cost of a step is the time of an epoch over that of a float epoch of the same images, the fixed
part subtracted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgerift import adapt, deploy, images, measure, zoo
from edgerift.adapt import QatSettings
from edgerift.deploy import Program, Target
from edgerift.images import ImageSet
from edgerift.train import TrainSettings

Method = Callable[[nn.Module, ImageSet, ImageSet | None, Target, QatSettings], Program]
METHODS: dict[str, tuple[Method, tuple[float, ...]]] = {
    "twin": (
        lambda original, train, held, target, settings: adapt.run_qat(
            original, train, held, target=target, settings=settings
        )[0],
        (0.001, 0.003),
    ),
    "alive": (
        lambda original, train, held, target, settings: adapt.run_qat(
            original, train, held, target=target, settings=settings.replace(batch_norm="alive")
        )[0],
        (0.001, 0.01),
    ),
    "torchao": (
        lambda original, train, held, target, settings: adapt.torchao_qat(
            original, train, held, target=target, settings=settings
        ),
        (0.001, 0.01),
    ),
}


def accuracy(model: nn.Module, image_set: ImageSet) -> float:
    """Measure a module's accuracy on an image set."""
    return measure.accuracy(deploy.twin_scores(model, image_set.images), image_set.labels).value


def rows(
    original: nn.Module, data: images.ThreeWay, epochs: int, seeds: list[int], target: Target, methods: list[str]
) -> list[dict[str, Any]]:
    """Train every method at every rate with every seed."""
    found = []
    for method in methods:
        train, rates = METHODS[method]
        for rate in rates:
            for seed in seeds:
                started = time.perf_counter()
                settings = QatSettings(
                    train=TrainSettings(epochs=epochs, learning_rate=rate, seed=seed, device="cpu"),
                    observe_epochs=max(1, epochs - 1),
                )
                program = train(original, data.train, data.validation, target, settings)
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
    for method in dict.fromkeys(row["method"] for row in found):
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


def steps(original: nn.Module, train: ImageSet, target: Target, methods: list[str]) -> dict[str, float]:
    """Time an epoch of each method over a float one: two epochs minus one, so that preparation does not count."""

    def epoch(make: Callable[[QatSettings], object]) -> float:
        spent = []
        for count in (1, 2):
            started = time.perf_counter()
            make(QatSettings(train=TrainSettings(epochs=count, learning_rate=0.001, device="cpu")))
            spent.append(time.perf_counter() - started)
        return spent[1] - spent[0]

    plain = epoch(lambda settings: adapt.finetune(original, train, None, settings=settings.train))
    return {
        method: round(epoch(partial(METHODS[method][0], original, train, None, target)) / plain, 2)
        for method in methods
    }


def main() -> None:
    """Print the rows and the summary, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--original", type=Path, required=True)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--images", type=int, default=15000)
    parser.add_argument("--tested", type=int, default=None, help="so many validation and test images; default: all")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--target", default="mobile", choices=adapt.TARGETS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    original = zoo.load(arguments.original)
    data = images.open_splits(images.ImagesSettings(source=arguments.data, size=32), arguments.data_root)
    chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[: arguments.images]
    data = data._replace(train=data.train.select(chosen))
    if arguments.tested is not None:
        few = torch.arange(arguments.tested)
        data = data._replace(validation=data.validation.select(few), test=data.test.select(few))
    found = rows(original, data, arguments.epochs, arguments.seeds, arguments.target, arguments.methods)
    floor = {
        "original": accuracy(original, data.test),
        "ptq": accuracy(deploy.twin(adapt.ptq(original, data.train, target=arguments.target)), data.test),
    }
    report = {
        "data": arguments.data,
        "images": len(data.train),
        "epochs": arguments.epochs,
        "target": arguments.target,
        "before": floor,
        "summary": summary(found),
        "step over a float step": steps(original, data.train, arguments.target, arguments.methods),
        "rows": found,
    }
    print(json.dumps({name: value for name, value in report.items() if name != "rows"}, indent=2))
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
