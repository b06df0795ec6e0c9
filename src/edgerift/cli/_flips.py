"""`edgerift flips`: how few flipped bits of the stored weights destroy a build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgerift import adapt, deploy
from edgerift import flips as flipping
from edgerift.cli._build_options import RUNTIME_NAMES
from edgerift.cli._card import seed_of
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import OUT, DataOptions, Json, output_folder
from edgerift.cli._pipeline import fitting, shipped_build
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._train import copy_files
from edgerift.deploy import RuntimeName
from edgerift.settings import ClassNumber, Count, Seed, is_folder


class FlipsCommand(Command):
    """Flip bits of a build's stored weights until it is destroyed.

    Searches for the bits that raise the loss most and tests the flipped build on its runtime, with random flips as the
    control. Writes DIR/flips.json, DIR/program.safetensors and DIR/model.* with the flips of the first trial.
    """

    example: ClassVar[str] = "edgerift flips --adapted adapted --data cifar10 --out flips"

    out: Annotated[Path, OUT]
    """folder for the results"""
    adapted: Annotated[Path, Shown(group="model", metavar="DIR")]
    """folder that `edgerift adapt --out` wrote, or its program.safetensors"""
    runtime: Annotated[
        RuntimeName | None,
        Shown(group="model", metavar="NAME", default="that of DIR's build", text=f"runtime: {RUNTIME_NAMES}"),
    ] = None
    trust: Annotated[bool, Shown(group="model", advanced=True)] = False
    """allow models that run code when they are opened: Inductor packages, architectures from your own module:factory"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = DataOptions()
    count: Annotated[Count | None, Shown(group="data", default="all")] = None
    """number of test images that measure, from the first"""
    split_seed: Annotated[Seed | None, Shown(group="data", advanced=True, default="that of DIR/card.json")] = None
    """seed of the train-test split, for image sets without test images of their own"""
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
            finished = self.data.open_store().get(recipe, progress)
            copy_files(finished, folder)
            report = recipe.open(self.data.open_store(), progress)
        show(report, _text(report), self.as_json)
        return 0

    def _recipe(self) -> flipping.FlipsRecipe:
        program_path = self.adapted / "program.safetensors" if is_folder(self.adapted) else self.adapted
        program = deploy.given_program(program_path)
        build = shipped_build(program_path.parent, program, None, self.runtime, trust=self.trust)
        original_path = program_path.with_name("original.safetensors")
        original = adapt.given_original(original_path, trust=self.trust)
        seed = seed_of(program_path.with_name("card.json")) if self.split_seed is None else self.split_seed
        classes = deploy.Program.load(program_path).provenance.classes
        described = fitting(adapt.load_original(original), self.data.images(seed), classes, file=original_path)
        settings: dict[str, Any] = {"target_class": self.target_class, "candidates": self.candidates}
        settings |= {"flips": self.flips, "images": self.images, "trials": self.trials, "seed": self.seed}
        return flipping.FlipsRecipe(
            program=program,
            original=original,
            images=described,
            runtime=build.runtime,
            settings=flipping.FlipSettings.model_validate(settings),
            count=self.count,
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
