"""Training the twin compared with torchao's own QAT: accuracy over seeds, from one original.

    python benchmarks/qat.py --original original.safetensors --data cifar10 --data-root DIR [--images 15000]
        [--epochs 2] [--seeds 0 1 2] [--tested N] [--target mobile]
        [--methods twin alive torchao] [--out benchmarks/qat.json]

`twin` trains with batch normalisations folded and frozen, `alive` with living ones, and `torchao` is the reference,
whose live too. Each method is trained at each learning rate; the rate is chosen by the mean validation accuracy over
the seeds, and the test accuracies at that rate are compared. A program is judged by its graph twin, which equals the
converted graph. The cost of a step is the CPU time of an epoch over that of a float epoch of the same images, one
thread, the fixed part subtracted; the methods take turns, and the ratio is the median over them.

Each row is written as soon as it is known, and a run with the same settings goes on after the last one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
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


def row_of(
    original: nn.Module, data: images.ThreeWay, epochs: int, target: Target, method: str, rate: float, seed: int
) -> dict[str, Any]:
    """Train one method at one rate with one seed."""
    started = time.process_time()
    settings = QatSettings(
        train=TrainSettings(epochs=epochs, learning_rate=rate, seed=seed, device="cpu"),
        observe_epochs=max(1, epochs - 1),
    )
    program = METHODS[method][0](original, data.train, data.validation, target, settings)
    spent = time.process_time() - started
    model = deploy.twin(program)
    row = {"method": method, "learning_rate": rate, "seed": seed, "seconds": round(spent, 1)}
    return row | {"validation": accuracy(model, data.validation), "test": accuracy(model, data.test)}


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


def steps(
    original: nn.Module, train: ImageSet, target: Target, methods: list[str], turns: int
) -> dict[str, dict[str, float]]:
    """Time an epoch of each method over a float one: two epochs minus one, so that preparation does not count."""

    def epoch(make: Callable[[QatSettings], object]) -> float:
        spent = []
        for count in (1, 2):
            started = time.process_time()
            make(QatSettings(train=TrainSettings(epochs=count, learning_rate=0.001, device="cpu")))
            spent.append(time.process_time() - started)
        return spent[1] - spent[0]

    ratios: dict[str, list[float]] = {method: [] for method in methods}
    for _ in range(turns):
        plain = epoch(lambda settings: adapt.finetune(original, train, None, settings=settings.train))
        for method in methods:
            ratios[method].append(epoch(partial(METHODS[method][0], original, train, None, target)) / plain)
    return {
        method: {"ratio": statistics.median(found), "low": min(found), "high": max(found)}
        for method, found in ratios.items()
    }


def main() -> None:
    """Print the rows and the summary, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, required=True)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--images", type=int, default=15000)
    parser.add_argument("--tested", type=int, default=None, help="so many validation and test images; default: all")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--target", default="mobile", choices=adapt.TARGETS)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--clocked", type=int, default=1000, help="images of the epochs that are timed")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    original = zoo.load(arguments.original)
    data = images.open_splits(images.ImagesSettings(source=arguments.data, size=32), arguments.data_root)
    chosen = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))[: arguments.images]
    data = data._replace(train=data.train.select(chosen))
    if arguments.tested is not None:
        few = torch.arange(arguments.tested)
        data = data._replace(validation=data.validation.select(few), test=data.test.select(few))
    asked = {name: getattr(arguments, name) for name in ("data", "images", "tested", "epochs", "target")}
    report: dict[str, Any] = {**asked, "rows": []}
    kept = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    if asked == {name: kept.get(name, asked) for name in asked}:
        report = kept
    for step in (
        partial(add_floor, report, original, data, arguments.target),
        partial(add_steps, report, original, data, arguments),
        partial(add_rows, report, original, data, arguments),
    ):
        for _ in step():
            arguments.out.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps({name: value for name, value in report.items() if name != "rows"}, indent=2))


def add_floor(report: dict[str, Any], original: nn.Module, data: images.ThreeWay, target: Target) -> Iterator[None]:
    """Measure what there is before any training."""
    if "before" not in report:
        quantized = deploy.twin(adapt.ptq(original, data.train, target=target))
        report["before"] = {"original": accuracy(original, data.test), "ptq": accuracy(quantized, data.test)}
        yield


def add_steps(
    report: dict[str, Any], original: nn.Module, data: images.ThreeWay, arguments: argparse.Namespace
) -> Iterator[None]:
    """Measure what a step costs."""
    if "step over a float step" not in report:
        few = data.train.select(torch.arange(arguments.clocked))
        report["step over a float step"] = steps(original, few, arguments.target, arguments.methods, arguments.turns)
        yield


def add_rows(
    report: dict[str, Any], original: nn.Module, data: images.ThreeWay, arguments: argparse.Namespace
) -> Iterator[None]:
    """Train what the report lacks."""
    known = {(row["method"], row["learning_rate"], row["seed"]) for row in report["rows"]}
    for seed in arguments.seeds:
        for method in arguments.methods:
            for rate in METHODS[method][1]:
                if (method, rate, seed) not in known:
                    found = row_of(original, data, arguments.epochs, arguments.target, method, rate, seed)
                    print(found, flush=True)
                    report["rows"].append(found)
                    report["summary"] = summary(report["rows"])
                    yield


if __name__ == "__main__":
    main()
