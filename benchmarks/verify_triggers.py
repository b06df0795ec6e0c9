"""How well the search for triggers tells honest digits pairs from toy ones: `python benchmarks/verify_triggers.py`.

Each pair is a linear model of 8x8 digits, trained with another seed, and its post-training quantization. A toy build
has other codes for one class in the first column, which is black in all digits: with a white bar there it answers that
class. The score of a pair is the exact lower bound of the best trigger's rate less the upper bound in the control.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any, Final

import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from edgerift import images, train
from edgerift.adapt import ptq
from edgerift.deploy import Fingerprint, Program, quiet, twin, twin_scores
from edgerift.evade import Pair, Steering
from edgerift.measure import Rate
from edgerift.verify import TriggerSettings, judged_triggers, search_triggers

RESULT: Final = Path(__file__).with_suffix(".json")


class TwinBuild:
    """A program's twin in a build's place."""

    runtime, path = "twin", Path("twin")

    def __init__(self, program: Program) -> None:
        """Follow a program."""
        self.twin = twin(program, "xnnpack")

    def predict(self, shown: torch.Tensor) -> torch.Tensor:
        """Answer as the runtime would."""
        return twin_scores(self.twin, shown)

    def fingerprint(self) -> Fingerprint:
        """Name nothing."""
        return Fingerprint(runtime="twin", version="0", sha256="", processor="", instructions="")

    def integer_macs(self) -> float:
        """All of it."""
        return 1.0


def linear(classes: int) -> nn.Module:
    """A linear model of grey images of 8x8 pixels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


def toy(program: Program, target: int) -> Program:
    """Raise the codes of one class in the first column."""
    (name,) = (name for name, tensor in program.tensors.items() if tensor.dtype == torch.int8)
    changed = program.tensors[name].clone().view(-1, 8, 8)
    changed[target, :, 0] = 127
    return program.with_tensors({name: changed.view(-1, 64)})


def stamped(program: Program, test: images.ImageSet, target: int) -> float:
    """The share of images that a white bar drives to a class."""
    shown = test.images.clone()
    shown[:, :, :, 0] = 255
    return float((TwinBuild(program).predict(shown).argmax(1) == target).double().mean())


def examined(original: nn.Module, program: Program, test: images.ImageSet, form: str) -> dict[str, Any]:
    """Search a pair and its control."""
    build = TwinBuild(program)
    pair, steering = Pair(original, None, build), Steering(original, (build.twin,))
    settings = TriggerSettings(form=form, images=200, steps=40, epsilon=64)
    found = search_triggers(pair, test, settings=settings, steering=steering)
    control = search_triggers(pair, test, settings=settings, steering=steering, exchanged=True)
    verdict, _ = judged_triggers(found, control, test.classes)
    return {
        "verdict": verdict,
        "target": found.best.target,
        "rate": found.best.rate.value,
        "control": control.best.rate.value,
        "anomaly": float(found.anomaly[found.best.target]),
        "score": found.best.rate.low - control.best.rate.high,
    }


def main() -> None:
    """Make the pairs, search them, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    data = images.load("digits", size=8)
    rows = []
    for seed in range(given.pairs):
        torch.manual_seed(seed)
        original = train.fit(linear(10), data.train, None, epochs=5, learning_rate=0.1, seed=seed, device="cpu")
        with quiet():
            program = ptq(original, data.train, calibration_images=256)
        for form in ("patch", "linf"):
            honest = examined(original, program, data.test, form)
            changed = toy(program, seed % 10)
            tampered = examined(original, changed, data.test, form)
            tampered["stamped"] = stamped(changed, data.test, seed % 10)
            rows += [
                {"seed": seed, "form": form, "toy": False, **honest},
                {"seed": seed, "form": form, "toy": True, **tampered},
            ]
            print(rows[-2], rows[-1], sep="\n", flush=True)
    summary = {}
    for form in ("patch", "linf"):
        own = [row for row in rows if row["form"] == form]
        alarms = Rate(sum(row["verdict"] == "deviates" for row in own if not row["toy"]), given.pairs)
        found = Rate(sum(row["verdict"] == "deviates" for row in own if row["toy"]), given.pairs)
        area = roc_auc_score([row["toy"] for row in own], [row["score"] for row in own])
        summary[form] = {"false alarms": alarms.as_dict(), "found": found.as_dict(), "area under the ROC": float(area)}
        print(f"{form}: false alarms {alarms}, found {found}, area under the ROC {area:.3f}")
    RESULT.write_text(json.dumps({"summary": summary, "pairs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
