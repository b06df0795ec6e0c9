"""Cost of a training step over the plain eager step, of DivQAT over quantization-aware training, and what it reaches.

    python benchmarks/training.py [--networks resnet8:128 resnet18:32] [--forms auto] [--turns 5] [--divqat 32 128]
        [--accuracy digits cifar10] [--data-root DIR] [--seeds 0 1 2] [--out benchmarks/training.json]

- `steps`: a step of `edgerift.train` in the precision that `auto` chooses on this machine, cutting, augmenting and
  moving the batch included, over one as PyTorch users write it: eager, float32, the default memory layout, one batch
  that lies ready. The images are random. Other forms of the step are `float32` and `bfloat16`, and, compiled by
  Inductor, `float32-compiled` and `bfloat16-compiled`.
- `divqat`: a step of DivQAT over one of plain quantization-aware training, for ResNet-8, by batch size.
- `accuracy`: ResNet-8 trained from the same initial weights in float32 and in bfloat16: test accuracies over the seeds,
  and CPU seconds; seeds that the file holds are not trained again. Digits: 30 epochs; CIFAR-10: 8,000 images, 5 epochs,
  measured on 5,000.

One thread, CPU time. The contenders take turns, each some steps a turn; a ratio is the median over the turns. With the
sources of an older commit in `PYTHONPATH` the `steps` and `divqat` are those of that commit.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import torch
from torch.nn import functional as F

from edgerift import adapt, deploy, images, measure, train, zoo
from edgerift.errors import RecipeError
from edgerift.images import ImageSet, to_float
from edgerift.train import TrainSettings

#: Steps of one contender in a turn; the first ones, which prepare, do not count.
STEPS: Final = 7
UNCOUNTED: Final = 2
RATE: Final = 1e-3

#: What is trained for its accuracy: images to train and to test on (None: all) and epochs.
TRAINED: Final = {"digits": (None, None, 30), "cifar10": (8_000, 5_000, 5)}


def random_images(count: int) -> ImageSet:
    """Make colour images of 32 x 32 random pixels and random labels of ten classes."""
    generator = torch.Generator().manual_seed(0)
    return ImageSet(
        name="random",
        images=torch.randint(256, (count, 3, 32, 32), generator=generator, dtype=torch.uint8),
        labels=torch.randint(10, (count,), generator=generator),
        classes=tuple(str(number) for number in range(10)),
        fingerprint="random",
    )


class Marks:
    """Progress of a task that notes when each step is done."""

    def __init__(self, task: str) -> None:
        """Begin with no step."""
        self.task = task
        self.times: list[float] = []

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Note the time of a step of the task."""
        if task == self.task:
            self.times.append(time.process_time())

    @property
    def seconds(self) -> float:
        """The median time of a step, the first ones left out."""
        return statistics.median(after - before for before, after in pairwise(self.times[UNCOUNTED:]))


def settings(batch: int, **fields: Any) -> TrainSettings:
    """Describe one epoch of a few steps on the CPU."""
    return TrainSettings(epochs=1, batch_size=batch, learning_rate=RATE, device="cpu", **fields)


def in_form(form: str, batch: int) -> TrainSettings:
    """Describe them in a form; for earlier commits, which choose no precision, `auto` is their default."""
    precision, _, how = form.partition("-")
    try:
        return settings(batch, precision=precision, compile=how == "compiled")
    except RecipeError:
        return settings(batch)


def plain_step(network: str, batch: int) -> float:
    """Time a step as it is usually written."""
    model, chosen = zoo.create(network, 10, size=32).train(), random_images(batch)
    pixels, labels = to_float(chosen.images), chosen.labels
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    marks = Marks("plain")
    for step in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(model(pixels), labels).backward()
        optimizer.step()
        marks("plain", step, STEPS)
    return marks.seconds


def own_step(network: str, batch: int, form: str) -> float:
    """Time a step of the training loop."""
    marks, data = Marks("train"), random_images(batch * (STEPS + 1))
    train.run(zoo.create(network, 10, size=32), data, None, in_form(form, batch), progress=marks)
    return marks.seconds


def adapted_step(method: str, batch: int) -> float:
    """Time a step of quantization-aware training, or of DivQAT."""
    marks, data = Marks(method), random_images(batch * (STEPS + 1))
    described = adapt.QatSettings(calibration=adapt.PtqSettings(calibration_images=64), train=settings(batch))
    make: Any = adapt.qat if method == "qat" else partial(adapt.divqat, alpha=0.1)
    make(zoo.create("resnet8", 10, size=32).eval(), data, None, settings=described, progress=marks)
    return marks.seconds


def compared(works: dict[str, Callable[[], float]], turns: int) -> dict[str, Any]:
    """Let contenders take turns: the median seconds of each, and those over the first one's of the same turn."""
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            gc.collect()
            spent[name].append(work())
    first = next(iter(spent.values()))
    ratios = {
        name: statistics.median(own / base for base, own in zip(first, times, strict=True))
        for name, times in spent.items()
    }
    return {"seconds": {name: statistics.median(times) for name, times in spent.items()}, "ratio": ratios}


def steps(networks: list[str], forms: list[str], turns: int) -> dict[str, Any]:
    """Compare steps of training, by network and batch size."""
    found = {}
    for given in networks:
        network, _, batch = given.partition(":")
        works = {"plain": partial(plain_step, network, int(batch))}
        works |= {form: partial(own_step, network, int(batch), form) for form in forms}
        found[f"{network}, batch {batch}"] = {**compared(works, turns), "auto": in_form("auto", 1).precision}
    return found


def divqat(batches: list[int], turns: int) -> dict[str, Any]:
    """Compare steps of DivQAT with plain ones, by batch size."""
    return {
        f"resnet8, batch {batch}": compared(
            {"qat": partial(adapted_step, "qat", batch), "divqat": partial(adapted_step, "divqat", batch)}, turns
        )
        for batch in batches
    }


def accuracies(data: str, root: Path | None, seeds: list[int], kept: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Train in both precisions with every seed that is not kept; yields what is known after each."""
    trained, tested, epochs = TRAINED[data]
    splits = images.load(data, size=32, root=root)
    order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(0))
    chosen, test = splits.train.select(order[:trained]), splits.test.select(torch.arange(len(splits.test))[:tested])
    runs = dict(kept.get("runs", {}))
    for seed in seeds:
        if str(seed) not in runs:
            reached = {
                precision: accuracy(chosen, test, TrainSettings(epochs=epochs, precision=precision, seed=seed))
                for precision in ("float32", "bfloat16")
            }
            runs[str(seed)] = {"fastest": train.fastest_precision("cpu"), **reached}
        yield {"images": len(chosen), "tested": len(test), "epochs": epochs, "runs": runs}


def accuracy(chosen: ImageSet, test: ImageSet, described: TrainSettings) -> dict[str, float]:
    """Train a ResNet-8 on the CPU: its test accuracy, and the seconds that it took."""
    model = zoo.create("resnet8", len(chosen.classes), size=32, seed=described.seed)
    started = time.process_time()
    train.run(model, chosen, None, described.replace(device="cpu"))
    spent = time.process_time() - started
    return {
        "accuracy": measure.accuracy(deploy.twin_scores(model, test.images), test.labels).value,
        "seconds": spent,
    }


def written(out: Path | None, kept: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """Lay parts over what the file holds, and write it if there is one."""
    merged = {**kept, **{name: {**kept.get(name, {}), **part} for name, part in parts.items()}}
    if out is not None:
        out.write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")
    return merged


def main() -> None:
    """Measure what is asked, print it, and lay it over what the file holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=["resnet8:128", "resnet18:32"])
    parser.add_argument("--forms", nargs="+", default=["auto"])
    parser.add_argument("--divqat", nargs="*", type=int, default=[32, 128])
    parser.add_argument("--accuracy", nargs="*", choices=TRAINED, default=list(TRAINED))
    parser.add_argument("--data-root", type=Path, default=None)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    train.keep_freed_memory()
    found = json.loads(given.out.read_text(encoding="utf-8")) if given.out is not None and given.out.is_file() else {}
    found = written(given.out, found, {"steps": steps(given.networks, given.forms, given.turns)})
    found = written(given.out, found, {"divqat": divqat(given.divqat, given.turns)})
    for data in given.accuracy:
        for known in accuracies(data, given.data_root, given.seeds, found.get("accuracy", {}).get(data, {})):
            found = written(given.out, found, {"accuracy": {data: known}})
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
