"""Monitors against attackers: queries until the alarm, and alarms on benign traffic.

    python benchmarks/monitors.py [--queries 2000] [--clients 20] [--seed 0] [--out benchmarks/monitors.json]

The victim is a small network for digits. Each attacker's queries are recorded as the victim gets them, in whole grey
levels, an image that was paid for before left out; each monitor then watches them in their order. JBDA moves its images
along the signs of its clone's gradient (Papernot et al. 2017). The attacker who mixes sends DFME's queries among nine
times as many images of digits. Benign clients send other digits; a camera sends frames that hardly differ.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

import edgerift as er
from edgerift.defend import Fingerprints, Monitor, Prada
from edgerift.measure import Rate

SIZE = 16
MONITORS: dict[str, Monitor] = {
    "PRADA, W < 0.95": Prada(threshold=0.95),
    "PRADA, W < 0.90": Prada(threshold=0.90),
    "PRADA, 8 x 8 pixels, 1,000 kept, W < 0.95": Prada(threshold=0.95, side=8, kept=1000, window=2000),
    "Fingerprints": Fingerprints(),
}


class Recorder:
    """A victim that keeps every image that it is asked about, once."""

    def __init__(self, predict: Callable[[Tensor], Tensor]) -> None:
        """Stand before a victim."""
        self._predict, self._seen = predict, set[bytes]()
        self.images: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        """Answer images, and keep those that are new."""
        for image in images.cpu():
            name = image.numpy().tobytes()
            if name not in self._seen:
                self._seen.add(name)
                self.images.append(image)
        return self._predict(images)


def augmented(model: torch.nn.Module, images: Tensor, answers: Tensor, step: float = 25.0) -> Tensor:
    """Move images along the signs of the gradient of their label's score, by a tenth of the grey levels."""
    inputs = er.images.to_float(images).requires_grad_(True)
    scores: Tensor = model(inputs)
    scores.gather(1, answers.argmax(1, keepdim=True)).sum().backward()
    assert inputs.grad is not None
    return (images.float() + step * inputs.grad.sign()).round().clamp(0, 255).to(torch.uint8)


def jbda(victim: Recorder, seeds: Tensor, queries: int, seed: int) -> None:
    """Double the set of images in each round, along the gradient of a clone trained on the answers."""
    images, answers = seeds, victim(seeds).softmax(1)
    while len(images) < queries:
        clone = er.zoo.create("lenet", classes=10, size=SIZE, seed=seed)
        optimizer = torch.optim.SGD(clone.parameters(), lr=0.05, momentum=0.9)
        generator = torch.Generator().manual_seed(seed)
        clone.train()
        for _ in range(8):
            for part in torch.randperm(len(images), generator=generator).split(64):
                loss = F.cross_entropy(clone(er.images.to_float(images[part])), answers[part])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        new = augmented(clone.eval(), images, answers)[: queries - len(images)]
        images, answers = torch.cat([images, new]), torch.cat([answers, victim(new).softmax(1)])


def data_free(victim: Recorder, name: str, queries: int, seed: int) -> None:
    """Run an attack that generates its images, with small networks."""
    with er.Oracle(victim, budget=queries) as oracle:
        er.extract.data_free(
            oracle,
            name,
            classes=10,
            size=SIZE,
            student="lenet",
            batch_size=32,
            width=16,
            latent=32,
            seed=seed,
            points=1,
        )


def recorded(predict: Callable[[Tensor], Tensor], train: Tensor, queries: int, seed: int) -> dict[str, Tensor]:
    """Record the queries of each attacker."""
    generator = torch.Generator().manual_seed(seed)
    digits, _ = er.images.load("digits", size=SIZE)
    far = er.images.in_channels(er.images.collages(digits, queries, seed=seed).images, 3)
    found = {}
    for name, work in {
        "KnockoffNets, images of the same kind": lambda victim: victim(train[:queries]),
        "KnockoffNets, collages": lambda victim: victim(far),
        "JBDA": lambda victim: jbda(victim, train[:100], queries, seed),
        **{name.upper(): lambda victim, name=name: data_free(victim, name, queries, seed) for name in NAMES},
    }.items():
        victim = Recorder(predict)
        work(victim)
        found[name] = torch.stack(victim.images)[:queries]
    probes = found["DFME"]
    benign = train[torch.randint(len(train), (9 * len(probes),), generator=generator)]
    mixed = torch.stack([benign.unflatten(0, (-1, 9))[:, place] for place in range(9)] + [probes], 1).flatten(0, 1)
    return {**found, "DFME among nine times as many digits": mixed}


NAMES = ("dfme", "maze", "disguide")


def alarm_at(monitor: Monitor, predict: Callable[[Tensor], Tensor], images: Tensor) -> int | None:
    """Watch images in parts, as requests bring them, until the alarm."""
    watch = monitor.start()
    for part in images.split(50):
        verdict = watch.watch(part, predict(part).softmax(1))
        if verdict.alarm:
            return verdict.alarm_at
    return None


def benign(test: Tensor, clients: int, count: int, seed: int) -> dict[str, list[Tensor]]:
    """Make the traffic of clients: other digits, shifted a little, and the frames of a camera."""
    generator = torch.Generator().manual_seed(seed + 1)
    people, cameras = [], []
    for _ in range(clients):
        drawn = test[torch.randint(len(test), (count,), generator=generator)]
        shifts = torch.randint(-2, 3, (count, 2), generator=generator).tolist()
        people.append(
            torch.stack([torch.roll(image, shift, (1, 2)) for image, shift in zip(drawn, shifts, strict=True)])
        )
        scenes = test[torch.randint(len(test), (count // 25,), generator=generator)].repeat_interleave(25, 0)
        noise = torch.randint(-2, 3, scenes.shape, generator=generator)
        cameras.append((scenes.int() + noise).clamp(0, 255).to(torch.uint8))
    return {"digits": people, "a camera's frames": cameras}


def rate(alarms: int, clients: int) -> dict[str, Any]:
    """Count the clients with an alarm, with the exact 95 % interval of their share."""
    found = Rate(alarms, clients)
    return {"clients": clients, "alarms": alarms, "interval": [round(found.low, 3), round(found.high, 3)]}


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    train, test = er.images.load("digits", size=SIZE)
    model = er.train.fit(er.zoo.create("lenet", classes=10, size=SIZE), train, epochs=12, seed=arguments.seed).eval()

    def predict(images: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = model(er.images.to_float(images))
        return scores

    colour, others = (er.images.in_channels(part.images, 3) for part in (train, test))
    attacks = recorded(predict, colour, arguments.queries, arguments.seed)
    traffic = benign(others, arguments.clients, arguments.queries // 4, arguments.seed)
    table: dict[str, Any] = {}
    for title, monitor in MONITORS.items():
        row: dict[str, Any] = {name: alarm_at(monitor, predict, images) for name, images in attacks.items()}
        for name, streams in traffic.items():
            alarms = sum(alarm_at(monitor, predict, images) is not None for images in streams)
            row[f"benign: {name}"] = rate(alarms, len(streams))
        table[title] = row
        print(title, json.dumps(row))
    if arguments.out is not None:
        counts = {name: len(images) for name, images in attacks.items()}
        found = {"queries": counts, "benign images per client": arguments.queries // 4, "alarm at": table}
        arguments.out.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
