"""Cost of the twin: its gradient compared with the float model's, its training step with a float step.

    python benchmarks/twin.py [--out benchmarks/twin.json] [--repeats 7] [--threads 1]

Every pair is timed in turn within one run, and the ratio of each turn is taken; medians over the turns are printed.
"Float" is the model as a user has it: the default memory layout, separate batch normalisation, parameters that require
gradients.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import adapt, deploy, images, zoo
from edgerift.adapt import torchao_qat_model

MODELS = ("resnet8", "resnet18", "mobilenet_v2")
BATCHES = (16, 64)


def warmed(name: str) -> nn.Module:
    """Make a model whose batch normalisations have seen images, so that its activations have sensible ranges."""
    model = zoo.create(name, 10).train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(4):
            model(torch.rand(32, 3, 32, 32, generator=generator))
    return model.eval()


def input_gradient(model: nn.Module, batch: Tensor, labels: Tensor) -> Callable[[], object]:
    """One attack step's worth of work: forward, loss, gradient by the input."""

    def run() -> object:
        inputs = batch.detach().requires_grad_()
        return torch.autograd.grad(F.cross_entropy(model(inputs), labels, reduction="sum"), inputs)

    return run


def training_step(model: nn.Module, batch: Tensor, labels: Tensor) -> Callable[[], object]:
    """One step of SGD in channels-last layout, as `edgerift.train` takes it."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=1e-4, momentum=0.9, nesterov=True, fused=True)
    batch = batch.contiguous(memory_format=torch.channels_last)

    def run() -> object:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(model(batch), labels).backward()
        return optimizer.step()

    return run


def seconds(work: Callable[[], object], calls: int) -> float:
    """Time the mean of a few calls."""
    started = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - started) / calls


def compare(works: dict[str, Callable[[], object]], repeats: int, calls: int = 2) -> dict[str, dict[str, float]]:
    """Time each work in turn, `repeats` times; the first one is what the ratios are to."""
    for work in works.values():
        seconds(work, 1)
    turns = [{name: seconds(work, calls) for name, work in works.items()} for _ in range(repeats)]
    base = next(iter(works))
    return {
        name: {
            "milliseconds": 1000 * statistics.median(turn[name] for turn in turns),
            "ratio": statistics.median(turn[name] / turn[base] for turn in turns),
        }
        for name in works
    }


def measure(name: str, size: int, repeats: int) -> dict[str, Any]:
    """Compare gradients and training steps for one architecture and batch size."""
    train = images.load("digits").train
    original = warmed(name)
    batch, labels = images.to_float(train.images[:size]), train.labels[:size]
    program = adapt.ptq(original, train, target="mobile", calibration_images=64)
    gradients = {
        "float": input_gradient(copy.deepcopy(original), batch, labels),
        "twin (graph)": input_gradient(deploy.twin(program), batch, labels),
        "twin (xnnpack)": input_gradient(deploy.twin(program, "xnnpack"), batch, labels),
    }
    student = deploy.trainable_twin(program).train()
    frozen = deploy.trainable_twin(program).train()
    frozen.ranges.observing = False
    layout = torch.channels_last
    steps = {
        "float": training_step(copy.deepcopy(original).train().to(memory_format=layout), batch, labels),
        "twin, observing": training_step(student, batch, labels),
        "twin, frozen": training_step(frozen, batch, labels),
        "torchao": training_step(torchao_qat_model(original, batch, target="mobile"), batch, labels),
    }
    return {"gradient": compare(gradients, repeats), "training step": compare(steps, repeats)}


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=MODELS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    results = {}
    for name in arguments.models:
        for size in BATCHES:
            parts = results[f"{name}, batch {size}"] = measure(name, size, arguments.repeats)
            for part, rows in parts.items():
                print(f"\n{name}, batch {size}, {part}")
                for row, values in rows.items():
                    print(f"  {row:<18} {values['milliseconds']:9.1f} ms   ratio {values['ratio']:.2f}", flush=True)
    if arguments.out is not None:
        header = {"torch": torch.__version__, "threads": arguments.threads, "repeats": arguments.repeats}
        arguments.out.write_text(json.dumps({**header, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
