"""What a repair of `edgerift verify --repair` costs and takes away: `python benchmarks/verify_repair.py --keep DIR`.

The accuracies of originals and of what they become by post-training quantization, by AdaRound and by the repair of
roundings, on the test images; and, on the two toy pairs of the tests, how often the white square works. DIR keeps what
was trained; `--cifar10 DIR` adds what `benchmarks/verify.py --data cifar10 --keep DIR` kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import tables
import torch
from torch import Tensor, nn

import verify as cases
from edgerift import images, zoo
from edgerift.adapt import ptq
from edgerift.deploy import Program, quiet, twin, twin_scores
from edgerift.images import ImageSet
from edgerift.measure import Rate
from edgerift.verify import repaired, verify

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
import rounding_toy as toy

RESULT: Final = Path(__file__).with_suffix(".json")
PAGE: Final = Path(__file__).parents[1] / "docs" / "verify.md"
NETWORKS: Final = ("lenet", "resnet8")
SEEDS: Final = 3
TITLES: Final = {
    "original": "original",
    "ptq": "to the nearest",
    "adaround": "AdaRound",
    "reround": "re-rounded as a repair",
}


def figures(original: nn.Module, program: Program | None, test: ImageSet) -> dict[str, Any]:
    """How often a model is right, and how often it answers as its original."""
    expected = twin_scores(original, test.images).argmax(1)
    labels = expected if program is None else twin_scores(twin(program), test.images).argmax(1)
    found: dict[str, Any] = {
        "right": _rate(labels == test.labels),
        "as the original": _rate(labels == expected),
    }
    if program is not None:
        rounding = verify(original, program=program, checks=["rounding"]).check("rounding")
        assert rounding is not None
        found["turned"] = rounding.figures["off"]
    return found


def _rate(found: Tensor) -> dict[str, float]:
    rate = Rate(int(found.sum()), len(found))
    return {"count": rate.successes, "of": rate.trials, "low": rate.low, "high": rate.high}


def networks(kept: cases.Kept, data: images.Splits, name: str, seed: int) -> Iterator[dict[str, Any]]:
    """Measure an original and its programs on digits."""
    original = kept.model(f"{name}-{seed}", partial(cases.trained, data.train, name, seed, 6))
    program = kept.program(f"{name}-{seed}-ptq", partial(ptq, original, data.train, calibration_images=512))
    made = {"original": None, "ptq": program}
    for kind in cases.CHOSEN:
        choose = partial(cases.chosen_roundings, original, program, data.train, kind)
        made[kind] = kept.program(f"{name}-{seed}-{kind}", choose)
    for kind, one in made.items():
        yield {"data": "digits", "network": name, "seed": seed, "made": kind, **figures(original, one, data.test)}


def kept_networks(folder: Path) -> Iterator[dict[str, Any]]:
    """Measure the original and the programs on CIFAR-10 that another benchmark kept."""
    test = images.load("cifar10", size=32).test
    original = zoo.load(folder / "original.safetensors").eval()
    for kind in TITLES:
        program = None if kind == "original" else Program.load(folder / f"{kind}.program.safetensors")
        yield {"data": "cifar10", "network": "resnet8", "seed": 7, "made": kind, **figures(original, program, test)}


def toys() -> Iterator[dict[str, Any]]:
    """Measure the toy pairs: as they ship, quantized again, and re-rounded."""
    for attack in ("moved", "turned"):
        original = toy.Toy(moved=attack == "moved")
        train, test = toy.data_of(original), toy.data_of(original, seed=9)
        again = repaired(original, train, target="mobile", by="requantize")
        built = again if attack == "moved" else toy.turned(original, again)
        chosen = repaired(original, train, target="mobile", by="reround")
        made = {"original": None, "ships": built, "requantize": again, "reround": chosen}
        for kind, program in made.items():
            scores = partial(twin_scores, original if program is None else twin(program))
            verdict = "" if program is None else verify(original, program=program).verdict
            yield {
                "data": "toy",
                "attack": attack,
                "made": kind,
                "driven": toy.driven(scores, test.images, test.labels),
                "verdict": verdict,
                **figures(original, program, test),
            }


def page(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out as two Markdown tables."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["data"] != "toy":
            found.setdefault((row["data"], row["network"], row["made"]), []).append(row)
    lines = [
        [
            data,
            network,
            TITLES[made],
            str(len(parts)),
            _pooled(parts, "right"),
            _pooled(parts, "as the original"),
            _turned(parts),
        ]
        for (data, network, made), parts in found.items()
    ]
    first = tables.table(["data", "network", "codes", "seeds", "right", "as the original", "turned"], lines)
    titles = {"moved": "float moved inside of its codes", "turned": "roundings chosen"}
    kinds = {"original": "original", "ships": "the build", "requantize": "quantized again", "reround": "re-rounded"}
    lines = [
        [
            titles[row["attack"]],
            kinds[row["made"]],
            f"{row['driven']:.0%}",
            _pooled([row], "as the original"),
            row["verdict"],
        ]
        for row in rows
        if row["data"] == "toy"
    ]
    second = tables.table(["toy", "model", "square works", "as the original", "verdict"], lines)
    return f"{first}\n{second}"


def _pooled(parts: list[dict[str, Any]], name: str) -> str:
    rate = Rate(sum(part[name]["count"] for part in parts), sum(part[name]["of"] for part in parts))
    return f"{rate.value:.1%} [{rate.low:.1%}, {rate.high:.1%}]"


def _turned(parts: list[dict[str, Any]]) -> str:
    shares = [part["turned"] for part in parts if "turned" in part]
    return f"{sum(shares) / len(shares):.1%}" if shares else ""


def main() -> None:
    """Measure what is missing, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, required=True, metavar="DIR")
    parser.add_argument("--cifar10", type=Path, metavar="DIR")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    given.keep.mkdir(parents=True, exist_ok=True)
    data = images.load("digits", size=16)
    with quiet():
        rows = list(toys())
        for name in NETWORKS:
            for seed in range(SEEDS):
                rows += networks(cases.Kept(given.keep), data, name, seed)
        rows += kept_networks(given.cifar10) if given.cifar10 else []
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")
    tables.insert(PAGE, ("<!-- benchmarks/verify_repair.py -->", "<!-- end of repairs -->"), page(rows))


if __name__ == "__main__":
    main()
