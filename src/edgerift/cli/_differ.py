"""`edgerift differ`: images on which an original and its build answer differently, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field
from rich.console import Group
from rich.table import Table
from rich.text import Text

from edgerift import differ, images
from edgerift.cli._adapted import AdaptedOptions
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import LEVELS, OUT, Json, output_folder
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._train import copy_files
from edgerift.evade import GreyLevels
from edgerift.settings import Count, Seed, Settings, Times


class SearchOptions(Settings):
    """What may change of an image, and what is raised."""

    constraint: Literal["box", "light", "occlusion", "blackout"] = "box"
    """what may change: every pixel, the brightness, one rectangle, or small squares that get darker"""
    epsilon: Annotated[GreyLevels, LEVELS] = 8
    """largest change for box and light, in grey levels of 255"""
    steps: Times = 20
    """gradient steps per image"""
    step: Annotated[float, Shown(advanced=True)] = 1.0
    """grey levels per step"""
    objective: Literal["margin", "deepxplore", "dlfuzz"] = "margin"
    """the pair's margins, or a published objective"""
    deviant: Annotated[Literal["build", "original"], Shown(advanced=True)] = "build"
    """the model whose answer is to change"""
    rectangle: Annotated[Count, Shown(advanced=True)] = 8
    """side of the rectangle of occlusion, in pixels"""
    squares: Annotated[Count, Shown(advanced=True)] = 5
    """squares per step of blackout"""
    square: Annotated[Count, Shown(advanced=True)] = 3
    """side of a square of blackout, in pixels"""
    coverage: Annotated[float, Shown(advanced=True)] = 0.0
    """weight of raising neurons of the original that no image has activated"""
    threshold: Annotated[float, Shown(advanced=True)] = 0.25
    """share of a layer's range above which a neuron counts as activated"""


class DifferCommand(Command):
    """Find images on which original and build answer differently.

    Changes images on which both agree until they do not; no labels are needed. Every finding is confirmed on the
    runtime from its PNG file, and random changes of the same kind and cost are the control. Writes
    DIR/differences.json and one PNG file for each finding.
    """

    example: ClassVar[str] = "edgerift differ --adapted adapted --data cifar10 --images photos --out differences"

    out: Annotated[Path, OUT]
    """folder for the results"""
    of: Annotated[AdaptedOptions, tyro.conf.arg(name="")]
    images: Annotated[str | None, Shown(group="data", metavar="SOURCE", default="the test images of --data")] = None
    """image set to search instead; its labels are not read"""
    searching: Annotated[SearchOptions, tyro.conf.arg(name=""), Shown(group="search")] = Field(
        default_factory=SearchOptions
    )
    seed: Annotated[Seed, Shown(group="search", advanced=True)] = 0
    """seed of what is drawn"""
    as_json: Json = False

    def run(self) -> int:
        """Search, write the files and show what was found."""
        with output_folder(self.out) as folder, progress_bars() as progress:
            recipe, store = self._recipe(), self.of.data.open_store()
            copy_files(store.get(recipe, progress), folder)
            report = recipe.open(store, progress)
        show(report, _text(report, folder), self.as_json)
        return 0

    def _recipe(self) -> differ.DifferRecipe:
        found = self.of.find()
        unlabelled = None
        if self.images is not None:
            unlabelled = images.resolve(images.ImagesSettings(source=self.images, size=found.images.size))
        return differ.DifferRecipe(
            pair=found.pair,
            images=found.images,
            unlabelled=unlabelled,
            settings=differ.DifferSettings.model_validate({**self.searching.model_dump(), "seed": self.seed}),
            count=self.of.count,
        )


def _text(report: differ.DifferReport, folder: Path) -> Group:
    title = f"{report.data}, {report.runtime}, {report.settings.objective} under {report.settings.constraint}"
    table = Table(title=title, title_justify="left")
    names = ("", "differ", "95 % interval", "build wrong", "original wrong", "both wrong", "queries", "coverage")
    for name in names:
        table.add_column(name, justify="right" if name else "left")
    for name, part in (("search", report.search), ("random", report.control)):
        table.add_row(name, *_row(part))
    search = report.search
    words = (
        f"{search.found.successes} of {search.agreed} images on which both agree could be changed so that they differ; "
        f"on {search.already} of {search.images} they differ as they are. "
        f"Found only by the search: {report.only_search}, only at random: {report.only_control}, p = {report.p:.3g}. "
        f"Images: {folder}"
    )
    return Group(table, Text(words))


def _row(part: differ.DifferPart) -> list[str]:
    sides = ["" if side is None else str(side) for side in (part.build_wrong, part.original_wrong, part.both_wrong)]
    found = part.found
    limits = f"{100 * found.low:.1f} to {100 * found.high:.1f} %"
    coverage = "" if part.coverage is None else f"{100 * part.coverage:.1f} %"
    return [f"{100 * found.value:.1f} %", limits, *sides, f"{part.queries + part.gradients:,}", coverage]
