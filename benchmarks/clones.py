"""Clones at equal queries, network, epochs and batches: KnockoffNets here and in the Adversarial Robustness Toolbox.

    EDGERIFT_DATA=DIR python benchmarks/clones.py [--data mnist] [--network lenet] [--queries 3000] [--epochs 8] \
        [--seeds 0 1 2 ...] [--screen] [--out benchmarks/clones.json]

Needs `adversarial-robustness-toolbox`. The victim is trained on images of one half of the training set; the attacker
queries images of the other half and trains the same network, with the same first weights and images for all on a
seed. The toolbox gets the optimizer that its examples use, Adam at 0.001. Agreement is the share of test images that
clone and victim label alike. The JSON is written after each seed; a run that was stopped, started again, does those
that are missing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

import edgerift as er
from edgerift.images import ImageSet

BATCH = 64


class Bench(NamedTuple):
    """A victim, what the attacker queries, and what both are measured on."""

    network: str
    victim: nn.Module
    queries: ImageSet
    test: ImageSet


class Arguments(NamedTuple):
    """How an attacker steals."""

    bench: Bench
    epochs: int
    seed: int


def made_bench(data: str, network: str, queries: int, seed: int, trained_on: int) -> Bench:
    """Train a victim, and draw the queries."""
    train, test = er.images.load(data)
    own, others = er.images.split(train, 0.5, seed=seed)
    size = train.shape.size
    victim = er.zoo.create(network, classes=len(train.classes), size=size, seed=seed)
    few = own.select(torch.arange(min(trained_on, len(own))))
    er.train.fit(victim, few, None, epochs=10, learning_rate=0.05, batch_size=BATCH, seed=seed)
    drawn = torch.randperm(len(others), generator=torch.Generator().manual_seed(seed))[:queries]
    return Bench(network, victim.eval(), others.select(drawn), test)


def blank(bench: Bench, seed: int) -> nn.Module:
    """Make the network that a clone starts from."""
    shape = bench.queries.shape
    return er.zoo.create(bench.network, classes=len(bench.test.classes), size=shape.size, seed=seed + 100)


def ours(given: Arguments, **fields: Any) -> nn.Module:
    """Steal with edgerift."""
    with er.Oracle(given.bench.victim, budget=len(given.bench.queries)) as oracle:
        student = blank(given.bench, given.seed)
        fields = {"epochs": given.epochs, **fields}
        return er.extract.knockoff(oracle, given.bench.queries, student, seed=given.seed, **fields).model


def toolbox(given: Arguments, *, soft: bool) -> nn.Module:
    """Steal with ART."""
    from art.attacks.extraction import KnockoffNets
    from art.estimators.classification import PyTorchClassifier

    bench, classes = given.bench, len(given.bench.test.classes)
    images = shown(bench.victim, bench.queries).numpy()
    shape = images.shape[1:]
    torch.manual_seed(given.seed)
    np.random.seed(given.seed)  # noqa: NPY002 - the toolbox draws from it
    student = blank(bench, given.seed)
    victim = PyTorchClassifier(
        nn.Sequential(bench.victim, nn.Softmax(1)), nn.CrossEntropyLoss(), shape, classes, clip_values=(0, 1)
    )
    optimizer = torch.optim.Adam(student.parameters(), lr=0.001)
    clone = PyTorchClassifier(student, nn.CrossEntropyLoss(), shape, classes, optimizer=optimizer, clip_values=(0, 1))
    attack = KnockoffNets(
        victim,
        batch_size_fit=BATCH,
        batch_size_query=BATCH,
        nb_epochs=given.epochs,
        nb_stolen=len(images),
        verbose=False,
        use_probability=soft,
    )
    attack.extract(images, thieved_classifier=clone)
    return student.eval()


def shown(model: nn.Module, images: ImageSet) -> Tensor:
    """Return images as a model takes them."""
    return er.images.to_float(er.images.in_channels(images.images, er.zoo.channels_of(model, images.shape)))


def labels(model: nn.Module, images: ImageSet) -> Tensor:
    """Return a model's labels."""
    with torch.no_grad():
        return torch.cat([model(part).argmax(1) for part in shown(model, images).split(500)])


WAYS: dict[str, Callable[[Arguments], nn.Module]] = {
    "edgerift": ours,
    "edgerift, hard labels": lambda given: ours(given, labels="hard"),
    "ART, hard labels (its default)": lambda given: toolbox(given, soft=False),
    "ART, probabilities": lambda given: toolbox(given, soft=True),
}
#: What explains the difference: the rate from which a cosine falls to zero, in few steps.
SCREEN: dict[str, Callable[[Arguments], nn.Module]] = {
    f"edgerift, rate {rate:g}": (lambda given, rate=rate: ours(given, learning_rate=rate))
    for rate in (0.01, 0.02, 0.03, 0.05, 0.1)
} | {"edgerift, no augmentation": lambda given: ours(given, augment=False)}


def main() -> None:
    """Print the agreement of each way and seed, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--network", default="lenet")
    parser.add_argument("--queries", type=int, default=3000)
    parser.add_argument("--trained-on", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--screen", action="store_true", help="try learning rates, and no augmentation")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    ways = WAYS | SCREEN if given.screen else WAYS
    chosen = {name: getattr(given, name) for name in ("data", "network", "queries", "trained_on", "epochs")}
    agreements = known(given.out, chosen)
    for seed in given.seeds:
        if all(str(seed) in agreements.get(name, {}) for name in ways):
            continue
        bench = made_bench(given.data, given.network, given.queries, seed, given.trained_on)
        told = labels(bench.victim, bench.test)
        print(seed, f"victim {float((told == bench.test.labels).double().mean()):.2%}", flush=True)
        for name, way in ways.items():
            clone = way(Arguments(bench, given.epochs, seed))
            alike = round(float((labels(clone, bench.test) == told).double().mean()), 4)
            agreements.setdefault(name, {})[str(seed)] = alike
            print(f"  {name:<45}{alike:.2%}", flush=True)
        if given.out is not None:
            given.out.write_text(json.dumps({**chosen, "agreement": agreements}, indent=1) + "\n")
    for name, found in agreements.items():
        print(f"{name:<45}{statistics.fmean(found.values()):.2%} over {len(found)} seeds")


def known(path: Path | None, chosen: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Read what an earlier run of the same choices has: the agreement of each way, by seed."""
    if path is None or not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text())
    agreements: dict[str, dict[str, float]] = found.pop("agreement")
    return agreements if found == chosen else {}


if __name__ == "__main__":
    main()
