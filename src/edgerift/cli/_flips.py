"""`edgerift flips`: how few flipped bits of the stored weights destroy a build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgerift import flips as flipping
from edgerift.cli._adapted import AdaptedOptions
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import OUT, Json, output_folder
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._train import copy_files
from edgerift.settings import ClassNumber, Count, Seed


class FlipsCommand(Command):
    """Flip bits of a build's stored weights until it is destroyed.

    Searches for the bits that raise the loss most and tests the flipped build on its runtime, with random flips as the
    control. Writes DIR/flips.json, DIR/program.safetensors and DIR/model.* with the flips of the first trial.
    """

    example: ClassVar[str] = "edgerift flips --adapted adapted --data cifar10 --out flips"

    out: Annotated[Path, OUT]
    """folder for the results"""
    of: Annotated[AdaptedOptions, tyro.conf.arg(name="")]
    flips: Annotated[Count, Shown(group="attack")] = 50
    """largest number of flips"""
    target_class: Annotated[ClassNumber | None, Shown(group="attack", default="none: down to chance")] = None
    """class that the build has to answer to 90 % of the other classes' images"""
    trials: Annotated[Count, Shown(group="attack")] = 3
    """searches, each with training images of its own"""
    images: Annotated[Count, Shown(group="attack", advanced=True)] = 128
    """training images that steer one search"""
    candidates: Annotated[Count, Shown(group="attack", advanced=True)] = 5
    """flips of each layer that are tried in a round"""
    seed: Annotated[Seed, Shown(group="attack")] = 0
    """seed of the first trial"""
    as_json: Json = False

    def run(self) -> int:
        """Search, write the files and show what was found."""
        with output_folder(self.out) as folder, progress_bars() as progress:
            recipe = self._recipe()
            finished = self.of.data.open_store().get(recipe, progress)
            copy_files(finished, folder)
            report = recipe.open(self.of.data.open_store(), progress)
        show(report, _text(report), self.as_json)
        return 0

    def _recipe(self) -> flipping.FlipsRecipe:
        found = self.of.find()
        settings: dict[str, Any] = {"target_class": self.target_class, "candidates": self.candidates}
        settings |= {"flips": self.flips, "images": self.images, "trials": self.trials, "seed": self.seed}
        return flipping.FlipsRecipe(
            program=found.program,
            original=found.original,
            images=found.images,
            runtime=found.build.runtime,
            settings=flipping.FlipSettings.model_validate(settings),
            count=self.of.count,
        )


def _text(report: flipping.FlipsReport) -> Group:
    goal = "chance" if report.target_class is None else f"class {report.classes[report.target_class]}"
    title = (
        f"bit flips on {report.runtime}, {report.images} images, {report.weight_bits:,} weight bits; "
        f"accuracy {_percent(report.accuracy.value)} before, goal {goal}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("trial", "flips", "accuracy after", "most common answer", "its share"):
        table.add_column(name, justify="right")
    for number, trial in enumerate(report.trials, 1):
        flips = f"{trial.needed}" if trial.needed is not None else f"not in {len(trial.flips)}"
        answer = report.classes[trial.answered]
        table.add_row(str(number), flips, _percent(trial.accuracy.value), answer, _percent(trial.answered_share))
    layers = Table()
    for name in ("layer", "weights", "flips used", "loss after its best flip"):
        layers.add_column(name, justify="left" if name == "layer" else "right")
    for layer in report.layers:
        loss = "" if layer.best_loss is None else f"{layer.best_loss:.3f}"
        layers.add_row(layer.layer, f"{layer.weights:,}", str(layer.used), loss)
    return Group(table, Text(_control(report)), layers, Text(_bits(report)))


def _control(report: flipping.FlipsReport) -> str:
    told = [f"{part.flips:,} flips {_percent(part.accuracy.value)}" for part in report.random]
    return f"Random flips instead, mean accuracy over the trials: {', '.join(told)}."


def _bits(report: flipping.FlipsReport) -> str:
    used = [f"bit {bit}: {count}" for bit, count in enumerate(report.bits) if count]
    original = ""
    if report.original_accuracy is not None:
        original = f" The original is untouched: accuracy {_percent(report.original_accuracy.value)}."
    return f"Bits used (7 is the sign): {', '.join(used) or 'none'}.{original}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
