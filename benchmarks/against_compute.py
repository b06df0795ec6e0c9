"""The parts of against.py that compute: searches, their gradients, and training steps."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from against_search import attack_rows
from sides import Given, Row, Side

HERE: Final = Path(__file__).resolve().parent

#: The default attack by network: batch size, the share of `--images` that is attacked, and the target.
SEARCHES: Final = {"resnet8": (64, 1.0, 0.55), "resnet18": (16, 0.2, 0.55), "mobilenet_v2": (16, 0.4, 0.85)}

#: PGD judged at the end over plain eager gradients, by network.
GRADIENTS: Final = {"resnet8": 0.40, "resnet18": 0.52, "mobilenet_v2": 0.48}
AT_THE_END: Final = "edgerift, judged at the end"

#: The engine's own share of a search: all but networks and judges.
OWN_SHARE: Final = 0.06
#: A step of training over the plain eager step, and one of DivQAT over quantization-aware training.
STEP, DIVQAT_STEP = 0.7, 1.12


def search(old: Side, new: Side, turns: int) -> Iterator[Row]:
    """Compare the default attack on the same images, by networks."""
    pairs, root = _material(new.given, "search")
    for name in new.given.networks:
        batch, share, target = SEARCHES[name]
        images = max(1, round(share * new.given.images))
        arguments = [str(pairs / name), str(root), str(images), str(batch)]
        ((_, found),) = attack_rows(old.sources, new.sources, arguments, ["default"], turns)
        seconds = found.pop("seconds")
        yield Row(
            f"default attack, {name}, batch {batch}, {images} images",
            "s",
            *(*seconds, found.pop("ratio"), target),
            notes=found,
        )


def pgd(old: Side, new: Side, turns: int) -> Iterator[Row]:
    """Compare PGD that is judged at the end with plain gradients of the unmodified network, each side by itself."""
    chosen = ["--models", *new.given.networks]
    found = [_evade(side, turns, "libraries", *chosen)["libraries"] for side in (old, new)]
    for name in new.given.networks:
        network = f"{name}, batch {SEARCHES[name][0]}"
        ratios = [side[network][AT_THE_END]["ratio"] for side in found]
        yield Row(f"PGD judged at the end, {network}", "", *ratios, ratios[1], GRADIENTS[name], "plain gradients")


def engine(old: Side, new: Side, turns: int) -> Iterator[Row]:
    """Compare what the engine spends outside of the networks and the judges, of a search of resnet8."""
    pairs, root = _material(new.given, "engine")
    chosen = ["--pair", str(pairs / "resnet8"), "--data", "cifar10", "--data-root", str(root)]
    found = [_evade(side, turns, "overhead", *chosen)["overhead"] for side in (old, new)]
    for attack in found[1]:
        shares = [side[attack]["overhead"] for side in found]
        yield Row(f"engine's own share, {attack}", "", *shares, shares[1], OWN_SHARE, "the search")


def training(old: Side, new: Side, turns: int) -> Iterator[Row]:
    """Compare training steps with the plain eager step, and those of DivQAT with quantization-aware training.

    The sides take turns, each in processes of its own: the same step varies from one to the next.
    """
    seen = [[_training_turn(side) for side in (old, new)] for _ in range(turns)]
    for part, own, what, over, target in (
        ("steps", "auto", "training step", "plain eager step", STEP),
        ("divqat", "divqat", "DivQAT step", "QAT step", DIVQAT_STEP),
    ):
        for name in seen[0][1][part]:
            before, after = ([turn[side][part][name]["ratio"][own] for turn in seen] for side in (0, 1))
            ratios = statistics.median(before), statistics.median(after)
            seconds = {
                side: [turn[place][part][name]["seconds"] for turn in seen] for place, side in enumerate(("old", "new"))
            }
            yield Row(f"{what}, {name}", "", *ratios, ratios[1], target, over, {"turn by turn": seconds})


def _training_turn(side: Side) -> dict[str, Any]:
    _, told = side.run(str(HERE / "training.py"), "--turns", "1", "--accuracy")
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def _material(given: Given, part: str) -> tuple[Path, Path]:
    if given.pairs is None or given.data_root is None:
        raise SystemExit(f"the rows '{part}' attack pairs of CIFAR-10: give --pairs FOLDER and --data-root DIR")
    return given.pairs, given.data_root


def _evade(side: Side, turns: int, part: str, *chosen: str) -> dict[str, Any]:
    """Run the side's own evade.py: what it takes apart are its own modules."""
    out = side.folder / f"{part}.json"
    script = side.sources.parent / "benchmarks" / "evade.py"
    side.run(str(script), "--parts", part, "--turns", str(turns), "--out", str(out), *chosen)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))["results"]
    return found
