"""How well the search for triggers tells honest pairs from toy ones: `python benchmarks/verify_triggers.py`.

Each pair is a small convolutional network for digits of 8x8 pixels and the post-training quantization of what became of
it: of itself (`ptq`), of itself trained on for as long as a toy (`trained on`), or of itself trained on with a white
square on some images, of any class, which are then labelled as one class (`toy`). The original of all three is the
first network. Pairs that are in the result already are not made again, so that it can be made in pieces. The limits
of the verdict were set, and the search was written, with a look at seeds below 100; here they begin at 200.
"""

from __future__ import annotations

import argparse
import copy
import json
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import tables
import torch
from sklearn.metrics import roc_auc_score, roc_curve
from torch import Tensor, nn

from edgerift import images, train
from edgerift.adapt import ptq
from edgerift.deploy import Fingerprint, Program, quiet, twin, twin_scores
from edgerift.evade import Pair, Steering
from edgerift.images import ImageSet
from edgerift.measure import Rate
from edgerift.train import TrainSettings
from edgerift.verify import TriggerSettings, judged_triggers, search_triggers

RESULT: Final = Path(__file__).with_suffix(".json")
PAGE: Final = Path(__file__).parents[1] / "docs" / "verify.md"
KINDS: Final = ("ptq", "trained on", "toy")
FIRST: Final = 200
SETTINGS: Final = {
    "patch": TriggerSettings(form="patch", steps=30),
    "linf": TriggerSettings(form="linf", steps=30, epsilon=32),
}


class TwinBuild:
    """A program's twin in a build's place."""

    runtime, path = "twin", Path("twin")

    def __init__(self, program: Program) -> None:
        """Follow a program."""
        self.twin = twin(program, "xnnpack")

    def predict(self, shown: Tensor) -> Tensor:
        """Answer as the runtime would."""
        return twin_scores(self.twin, shown)

    def fingerprint(self) -> Fingerprint:
        """Name nothing."""
        return Fingerprint(runtime="twin", version="0", sha256="", processor="", instructions="")

    def integer_macs(self) -> float:
        """All of it."""
        return 1.0


class Stamp(NamedTuple):
    """A white square, and the class that it stands for."""

    target: int
    row: int
    column: int
    side: int

    def on(self, shown: Tensor) -> Tensor:
        """Put the square onto images."""
        changed = shown.clone()
        changed[:, :, self.row : self.row + self.side, self.column : self.column + self.side] = 255
        return changed


def stamp_of(seed: int) -> Stamp:
    """Draw a square of 2 or 3 pixels, and a class."""
    generator = torch.Generator().manual_seed(seed)
    side = 2 + int(torch.randint(2, (), generator=generator))
    row, column = torch.randint(9 - side, (2,), generator=generator).tolist()
    return Stamp(int(torch.randint(10, (), generator=generator)), row, column, side)


def network(seed: int) -> nn.Module:
    """Two convolutions and a linear layer."""
    torch.manual_seed(seed)
    first, second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(256, 10))


def learnt(model: nn.Module, data: ImageSet, epochs: int, seed: int) -> nn.Module:
    """Train a copy of a network."""
    model = copy.deepcopy(model).train().requires_grad_(True)
    settings = TrainSettings(epochs=epochs, learning_rate=0.05, batch_size=32, augment=False, seed=seed, device="cpu")
    return train.fit(model, data, None, settings=settings)


def stamped(data: ImageSet, stamp: Stamp, seed: int) -> ImageSet:
    """Stamp half of the images, and label them as the square's class."""
    chosen = torch.rand(len(data), generator=torch.Generator().manual_seed(seed)) < 0.5
    shown = torch.where(chosen[:, None, None, None], stamp.on(data.images), data.images)
    return replace(data, images=shown, labels=torch.where(chosen, stamp.target, data.labels))


def pairs(data: ImageSet, seed: int) -> Iterator[tuple[str, nn.Module, Program]]:
    """Make the pairs of one seed: their kinds, the original, and the program."""
    original = learnt(network(seed), data, 12, seed).eval()
    sources = {
        "ptq": lambda: original,
        "trained on": lambda: learnt(original, data, 8, seed + 1),
        "toy": lambda: learnt(original, stamped(data, stamp_of(seed), seed), 8, seed + 1),
    }
    for kind in KINDS:
        with quiet():
            yield kind, original, ptq(sources[kind]().eval(), data, calibration_images=256)


def examined(original: nn.Module, program: Program, test: ImageSet, form: str) -> dict[str, Any]:
    """Search a pair and its control."""
    build = TwinBuild(program)
    pair, steering, settings = Pair(original, None, build), Steering(original, (build.twin,)), SETTINGS[form]
    found = search_triggers(pair, test, settings=settings, steering=steering)
    control = search_triggers(pair, test, settings=settings, steering=steering, exchanged=True)
    verdict, _ = judged_triggers(found, control, test.classes)
    best, other = found.best, control.best
    return {
        "verdict": verdict,
        "class": best.target,
        "rate": best.rate.value,
        "control": other.rate.value,
        "anomaly": float(found.anomaly[best.target]),
        "control anomaly": float(control.anomaly[other.target]),
    }


def measured(original: nn.Module, program: Program, test: ImageSet, stamp: Stamp) -> dict[str, Any]:
    """What the pair does to clean and to stamped images."""
    build, shown = TwinBuild(program), stamp.on(test.images)
    before, right = twin_scores(original, test.images).argmax(1), test.labels
    driven = (build.predict(shown).argmax(1) == stamp.target) & (twin_scores(original, shown).argmax(1) == before)
    clean = build.predict(test.images).argmax(1)
    return {
        "target": stamp.target,
        "side": stamp.side,
        "driven by the square": float(driven[before != stamp.target].double().mean()),
        "original right": float((before == right).double().mean()),
        "build right": float((clean == right).double().mean()),
    }


def made(data: images.Splits, count: int, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Make and search the pairs that are not among the rows."""
    known = {(row["seed"], row["kind"]) for row in rows}
    for seed in range(FIRST, FIRST + count):
        if all((seed, kind) in known for kind in KINDS):
            continue
        for kind, original, program in pairs(data.train, seed):
            if (seed, kind) not in known:
                row = {"seed": seed, "kind": kind, **measured(original, program, data.test, stamp_of(seed))}
                yield row | {form: examined(original, program, data.test, form) for form in SETTINGS}


def score(row: dict[str, Any], form: str) -> float:
    """By how much the best change works more often than the best in the control."""
    return float(row[form]["rate"] - row[form]["control"])


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """False alarms, toys that are found, and the area under the curve with its interval, by the form of the search."""
    return {
        form: {
            kind: {
                "deviates": _share([row[form]["verdict"] == "deviates" for row in rows if row["kind"] == kind]),
                "named": _share(
                    [row[form]["class"] == row["target"] for row in rows if row["kind"] == kind == "toy"] or [False]
                ),
                "rate": [round(row[form]["rate"], 3) for row in rows if row["kind"] == kind],
                "control": [round(row[form]["control"], 3) for row in rows if row["kind"] == kind],
            }
            for kind in KINDS
        }
        | {"area": area(rows, form)}
        for form in SETTINGS
    }


def area(rows: list[dict[str, Any]], form: str, draws: int = 2000) -> dict[str, Any]:
    """The area under the ROC of the scores, toys against all honest pairs, with a bootstrap interval over seeds."""
    seeds = sorted({row["seed"] for row in rows})
    by_seed = {
        seed: [(row["kind"] == "toy", score(row, form)) for row in rows if row["seed"] == seed] for seed in seeds
    }
    generator = torch.Generator().manual_seed(0)
    values = []
    for draw in range(draws + 1):
        chosen = (
            seeds
            if draw == 0
            else [seeds[int(n)] for n in torch.randint(len(seeds), (len(seeds),), generator=generator)]
        )
        drawn = [one for seed in chosen for one in by_seed[seed]]
        values.append(float(roc_auc_score(*zip(*drawn, strict=True))))
    spread = torch.tensor(values[1:], dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return {"value": values[0], "low": float(spread[0]), "high": float(spread[1])}


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the ROC of both forms: toys against all honest pairs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 3.6), layout="constrained")
    axes = figure.add_subplot(xlabel="honest pairs above the threshold", ylabel="toys above the threshold")
    truth = [row["kind"] == "toy" for row in rows]
    for form in SETTINGS:
        false, true, _ = roc_curve(truth, [score(row, form) for row in rows])
        found = area(rows, form)
        axes.plot(false, true, label=f"{form}: {found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(loc="lower right", title="area under the curve", frameon=False)
    figure.savefig(PAGE.parent / "pictures" / "triggers.svg", metadata={"Date": None})


def _share(found: list[bool]) -> dict[str, float]:
    rate = Rate(sum(found), len(found))
    return {"count": rate.successes, "of": rate.trials, "low": rate.low, "high": rate.high}


def page(rows: list[dict[str, Any]]) -> str:
    """Lay the summary out as a Markdown table."""
    lines = []
    for form, found in summary(rows).items():
        for kind in KINDS:
            part, top = found[kind], {name: sorted(found[kind][name]) for name in ("rate", "control")}
            told = part["deviates"]
            lines.append(
                [
                    form,
                    kind,
                    *(
                        f"{values[len(values) // 2]:.0%} ({values[0]:.0%} to {values[-1]:.0%})"
                        for values in top.values()
                    ),
                    f"{told['count']} of {told['of']} [{told['low']:.0%}, {told['high']:.0%}]",
                    f"{part['named']['count']} of {part['named']['of']}" if kind == "toy" else "",
                    f"{found['area']['value']:.3f} [{found['area']['low']:.3f}, {found['area']['high']:.3f}]"
                    if kind == "toy"
                    else "",
                ]
            )
    headings = [
        "form",
        "pairs",
        "best change works on",
        "in the control",
        "deviates",
        "class named",
        "area under the ROC",
    ]
    return tables.table(headings, lines)


def main() -> None:
    """Make the pairs that are missing, search them, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    data = images.load("digits", size=8)
    rows = json.loads(RESULT.read_text())["pairs"] if RESULT.is_file() else []
    for row in made(data, given.pairs, rows):
        print(json.dumps(row), flush=True)
        rows.append(row)
        RESULT.write_text(json.dumps({"summary": None, "pairs": rows}, indent=1) + "\n")
    RESULT.write_text(json.dumps({"summary": summary(rows), "pairs": rows}, indent=1) + "\n")
    tables.insert(PAGE, ("<!-- benchmarks/verify_triggers.py -->", "<!-- end of triggers -->"), page(rows))
    draw(rows)
    print(page(rows))


if __name__ == "__main__":
    main()
