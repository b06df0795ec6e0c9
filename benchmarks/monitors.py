"""Monitors against attackers: queries until the alarm, the clone's error there, and alarms on benign traffic.

    [EDGERIFT_DATA=DIR] python benchmarks/monitors.py [--data digits] [--queries 20000] [--images 2000] [--clients 20] \
        [--seeds 0 1] [--out benchmarks/monitors.json]

The victim is a LeNet. Each attacker's queries are recorded as the victim gets them, in whole grey levels, an image that
was paid for before left out; each monitor then watches them in their order. Attackers with images make `--images`
queries, near ones (the victim's kind, as many as there are) or far ones (collages); those without make `--queries`. An
attacker who mixes hides each query among images of the victim's kind, shifted where there are too few. A benign client
sends test images; a camera sends frames that hardly differ. A clone's error is the one on the test images that the
attacker has at the alarm.
"""

from __future__ import annotations

import argparse
import bisect
import functools
import json
import statistics
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import edgerift as er
from edgerift.defend import Fingerprints, Monitor, Prada
from edgerift.extract import DATA_FREE, QUERY_POLICIES, Generator, Measured
from edgerift.images import ImageSet
from edgerift.measure import Rate

MONITORS: dict[str, Monitor] = {
    "PRADA, W < 0.95": Prada(threshold=0.95),
    "PRADA, W < 0.90": Prada(threshold=0.90),
    "PRADA, bounded, W < 0.90": Prada(threshold=0.90, side=8, kept=1000, window=2000),
    "Fingerprints": Fingerprints(),
}
#: An attack on labels alone and MAZE by another's code query like the attacks that stand for them.
LEFT_OUT = ("disguide-hard", "maze-dfme")
#: Who mixes, how many benign images stand before each query, and the share of the queries that are made.
MIXED = (("KnockoffNets, far", 1, 1.0), ("KnockoffNets, far", 9, 1.0), ("DFME", 1, 1.0), ("DFME", 9, 0.25))
#: The most images that a victim is trained on, and that its attackers have.
MOST = 5000
#: How many images a request has, and how many frames a camera sends of one scene.
REQUEST, FRAMES = 50, 25


@dataclass(frozen=True)
class Victim:
    """A victim, what its attackers own, near, as cover for others, and far, and what they are measured on."""

    predict: Callable[[Tensor], Tensor]
    near: ImageSet
    cover: ImageSet
    far: ImageSet
    test: ImageSet
    error: float


@dataclass(frozen=True)
class Recorded:
    """An attacker's queries `[N,C,H,W]` in their order, and the error of its clone after so many of them."""

    images: Tensor
    error_after: Callable[[int], float]


Attacker = Callable[[Victim, int, int], Recorded]
"""Steal from a victim with so many queries, from a seed."""


class Recorder:
    """A victim that keeps every image that it is queried with, once."""

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


def knockoff(
    victim: Victim, queries: int, seed: int, *, own: Callable[[Victim], ImageSet], policy: str = "random"
) -> Recorded:
    """Query images of the attacker's own, or those that a query policy makes of some."""

    @functools.cache
    def stolen(count: int) -> er.extract.Clone:
        with er.Oracle(victim.predict, budget=count) as oracle:
            chosen = QUERY_POLICIES[policy]()
            return er.extract.knockoff(oracle, own(victim), "lenet", seed=seed + 100, epochs=20, policy=chosen)

    return Recorded(
        stolen(min(queries, len(own(victim))) if policy == "random" else queries).questions.images,
        lambda count: error(stolen(count).model, victim.test),
    )


def data_free(victim: Victim, queries: int, seed: int, *, name: str) -> Recorded:
    """Query generated images."""
    recorder, places, errors = Recorder(victim.predict), list[int](), list[float]()

    def observe(model: nn.Module, generator: Generator) -> Measured:
        places.append(len(recorder.images))
        errors.append(error(model, victim.test))
        return Measured(error=errors[-1], disagreement=0.0, divergence=0.0)

    with er.Oracle(recorder, budget=queries) as oracle:
        er.extract.data_free(
            oracle,
            name,
            classes=len(victim.test.classes),
            size=victim.test.shape.size,
            student="lenet",
            batch_size=32,
            width=32,
            latent=64,
            seed=seed,
            points=40,
            observe=observe,
        )
    # The clone is measured now and then: what it has at a query is at most what it has at the next measurement.
    return Recorded(
        torch.stack(recorder.images), lambda count: errors[min(bisect.bisect_left(places, count), len(errors) - 1)]
    )


def hidden(attacker: Attacker, benign: int) -> Attacker:
    """Put this number of other images of the victim's kind before each of an attacker's queries."""

    def mixed(victim: Victim, queries: int, seed: int) -> Recorded:
        found = attacker(victim, queries, seed)
        cover = in_colour(of_its_kind(victim.cover, benign * len(found.images), seed)).unflatten(0, (-1, benign))
        whole = torch.cat([cover, in_colour(found.images)[:, None]], 1)
        return Recorded(whole.flatten(0, 1), lambda count: found.error_after(max(1, count // (benign + 1))))

    return mixed


#: Attackers with images of their own, which make `--images` queries: KnockoffNets, and every registered query policy.
WITH_IMAGES: Mapping[str, Attacker] = {
    "KnockoffNets, near": functools.cache(functools.partial(knockoff, own=lambda victim: victim.near)),
    "KnockoffNets, far": functools.cache(functools.partial(knockoff, own=lambda victim: victim.far)),
    **{
        f"Query policy {name}, near": functools.cache(
            functools.partial(knockoff, own=lambda victim: victim.near, policy=name)
        )
        for name in QUERY_POLICIES.names()
        if name != "random"
    },
}
#: Attackers without, which make `--queries`: every registered attack.
WITHOUT_IMAGES: Mapping[str, Attacker] = {
    DATA_FREE[name].title: functools.cache(functools.partial(data_free, name=name))
    for name in DATA_FREE.names()
    if name not in LEFT_OUT
}


def attackers(images: int, queries: int) -> dict[str, tuple[Attacker, int]]:
    """List every attacker with its number of queries, those who mix at the end."""
    found = {name: (attacker, images) for name, attacker in WITH_IMAGES.items()}
    found |= {name: (attacker, queries) for name, attacker in WITHOUT_IMAGES.items()}
    for name, benign, share in MIXED:
        attacker, count = found[name]
        found[f"{name}, 1 query in {benign + 1}"] = hidden(attacker, benign), round(share * count)
    return found


def error(model: nn.Module, test: ImageSet) -> float:
    """Return the share of test images that a model gets wrong."""
    with torch.no_grad():
        asked = er.images.in_channels(test.images, er.zoo.channels_of(model, test.shape))
        wrong = model(er.images.to_float(asked)).argmax(1) != test.labels
    return float(wrong.double().mean())


def generator_of(seed: int) -> torch.Generator:
    """Return a generator for what is not an attacker's."""
    return torch.Generator().manual_seed(seed + 1000)


def of_its_kind(images: ImageSet, count: int, seed: int) -> Tensor:
    """Draw images: each once, or where there are too few with a shift by up to two pixels in both directions."""
    generator = generator_of(seed)
    if count <= len(images):
        return images.images[torch.randperm(len(images), generator=generator)[:count]]
    drawn = images.images[torch.randint(len(images), (count,), generator=generator)]
    shifts = torch.randint(-2, 3, (count, 2), generator=generator).tolist()
    return torch.stack([torch.roll(image, shift, (1, 2)) for image, shift in zip(drawn, shifts, strict=True)])


def in_colour(images: Tensor) -> Tensor:
    """Give images three channels."""
    return er.images.in_channels(images, 3)


def made_victim(data: str, images: int, seed: int) -> Victim:
    """Train a victim on one half of the training images; the other half is the near attacker's."""
    train, test = er.images.load(data, size=16) if data == "digits" else er.images.load(data)
    own, others = er.images.split(train, 0.5, seed=seed)
    own, near = (half.select(torch.arange(min(MOST, len(half)))) for half in (own, others))
    model = er.zoo.create("lenet", classes=len(test.classes), size=test.shape.size, seed=seed)
    er.train.fit(model, own, None, epochs=20, learning_rate=0.05, batch_size=64, seed=seed)

    def predict(asked: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = model(er.images.to_float(in_colour(asked)))
        return scores

    far = er.images.collages(own, images, seed=seed)
    return Victim(predict, near, others, far, test, error(model, test))


def alarm_at(monitor: Monitor, predict: Callable[[Tensor], Tensor], images: Tensor) -> int | None:
    """Watch images in parts, as requests bring them, until the alarm."""
    watch = monitor.start()
    for part in images.split(REQUEST):
        verdict = watch.watch(part, predict(part).softmax(1))
        if verdict.alarm:
            return verdict.alarm_at
    return None


def benign(victim: Victim, clients: int, count: int, seed: int) -> dict[str, list[Tensor]]:
    """Make the traffic of clients: test images, and the frames of a camera."""
    people, cameras = [], []
    for client in range(clients):
        drawn = of_its_kind(victim.test, count, 1000 * seed + client)
        scenes = drawn[: -(-count // FRAMES)].repeat_interleave(FRAMES, 0)[:count]
        noise = torch.randint(-2, 3, scenes.shape, generator=generator_of(client))
        people.append(drawn)
        cameras.append((scenes.int() + noise).clamp(0, 255).to(torch.uint8))
    return {"images of its kind": people, "a camera's frames": cameras}


def measured(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Let every monitor watch every attacker and every client of one victim."""
    victim = made_victim(arguments.data, arguments.images, seed)
    known = {
        name: attacker(victim, queries, seed)
        for name, (attacker, queries) in attackers(arguments.images, arguments.queries).items()
    }
    traffic = benign(victim, arguments.clients, arguments.benign, seed)
    rows: dict[str, Any] = {}
    for name, found in known.items():
        rows[name] = {
            "queries": len(found.images),
            "error at the end": round(found.error_after(len(found.images)), 4),
            "monitors": {},
        }
        for title, monitor in MONITORS.items():
            at = alarm_at(monitor, victim.predict, found.images)
            there = None if at is None else round(found.error_after(at), 4)
            rows[name]["monitors"][title] = {"alarm at": at, "error": there}
        print(seed, name, json.dumps(rows[name]), flush=True)
    alarms = {
        name: {
            title: sum(alarm_at(monitor, victim.predict, images) is not None for images in streams)
            for title, monitor in MONITORS.items()
        }
        for name, streams in traffic.items()
    }
    print(seed, json.dumps(alarms), flush=True)
    return {"seed": seed, "victim's error": round(victim.error, 4), "attackers": rows, "benign alarms": alarms}


def table(found: dict[str, Any]) -> str:
    """Write the table of the documentation: medians over the seeds."""
    seeds = found["seeds"]
    lines = ["| who queries | " + " | ".join(MONITORS) + " | error at the end |"]
    lines += ["|---|" + "--:|" * (len(MONITORS) + 1)]
    for name in seeds[0]["attackers"]:
        rows = [seed["attackers"][name] for seed in seeds]
        cells = [_cell([row["monitors"][title] for row in rows]) for title in MONITORS]
        end = statistics.median(row["error at the end"] for row in rows)
        lines.append(f"| {name} ({rows[0]['queries']:,}) | " + " | ".join(cells) + f" | {end:.1%} |")
    count = found["clients"] * len(seeds)
    for name in seeds[0]["benign alarms"]:
        cells = []
        for title in MONITORS:
            rate = Rate(sum(seed["benign alarms"][name][title] for seed in seeds), count)
            cells.append(f"{rate.value:.0%} [{rate.low:.0%}, {rate.high:.0%}]")
        lines.append(f"| benign: {name} ({found['benign images']:,}) | " + " | ".join(cells) + " | |")
    return "\n".join(lines)


def _cell(results: list[dict[str, Any]]) -> str:
    alarms = [result for result in results if result["alarm at"] is not None]
    if not alarms:
        return "no alarm"
    at = statistics.median(result["alarm at"] for result in alarms)
    there = statistics.median(result["error"] for result in alarms)
    missing = "" if len(alarms) == len(results) else f", {len(alarms)} of {len(results)}"
    return f"{at:,.0f} ({there:.0%}{missing})"


def main() -> None:
    """Print the table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--benign", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    seeds = []
    for seed in arguments.seeds:
        seeds.append(measured(arguments, seed))
        found = {
            "data": arguments.data,
            "clients": arguments.clients,
            "benign images": arguments.benign,
            "seeds": seeds,
        }
        if arguments.out is not None:
            arguments.out.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
