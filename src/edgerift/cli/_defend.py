"""`edgerift defend`: try defences of a victim's answers, and find the strongest that a budget allows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from pydantic import Field

from edgerift import extract, harden, report
from edgerift.cli._defences import read_swept
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import OUT, DataOptions, Json, Words, number_list, output_folder
from edgerift.cli._pipeline import AdaptOptions
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.cli._train import OriginalOptions
from edgerift.cli._victim import Found, VictimOptions, find_victim
from edgerift.defend import DEFENCES
from edgerift.errors import InputError
from edgerift.harden import PAPER_ANSWERS


class DefendCommand(Command):
    """Compare defences that perturb a model's predictions.

    Applies each defence at several strengths, measures its cost on the validation images and finds the strongest
    within the limit; with --steal it also steals the model at each strength. Without --adapted or --build it trains
    and quantizes a victim first. Writes DIR/defend.json and pictures.
    """

    example: ClassVar[str] = "edgerift defend --adapted adapted --data cifar10 --defence deception --out swept"

    out: Annotated[Path, OUT]
    """folder for the results"""
    whom: Annotated[VictimOptions, tyro.conf.arg(name=""), Shown(group="victim")] = Field(default_factory=VictimOptions)
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    defence: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="NAME:SETTING=VALUE,..."),
        Shown(
            group="defence",
            metavar="NAME:SETTING=VALUE,...",
            text="defence, with settings to keep fixed; repeatable",
            details="Names, with the setting that is swept: "
            + ", ".join(f"{name} ({one.strength_field or 'none'})" for name, one in DEFENCES.items()),
            default=", ".join(PAPER_ANSWERS),
        ),
    ] = ()
    strengths: Annotated[
        Words,
        tyro.conf.arg(metavar="NUMBER ..."),
        Shown(group="defence", metavar="NUMBER ...", default="published"),
    ] = ()
    """strengths to try, of one --defence"""
    l1_budget: Annotated[float, Field(ge=0, le=2), Shown(group="defence")] = 0.6
    """largest mean l1 distance of defended from undefended predictions, at most 2"""
    steal: Annotated[bool, Shown(group="theft")] = False
    """also steal the victim at each strength, with soft labels"""
    stealing: Annotated[TheftOptions, tyro.conf.arg(name=""), Shown(group="theft", basic=("queries", "budget"))] = (
        Field(default_factory=TheftOptions)
    )
    training: Annotated[
        OriginalOptions, tyro.conf.arg(name=""), Shown(group="training", basic=("model", "epochs", "seed"))
    ] = Field(default_factory=OriginalOptions)
    adapting: Annotated[AdaptOptions, tyro.conf.arg(name=""), Shown(group="training", basic=("method", "target"))] = (
        Field(default_factory=AdaptOptions)
    )
    as_json: Json = False

    def run(self) -> int:
        """Measure, write the files and show what each defence costs."""
        with output_folder(self.out) as folder, progress_bars() as progress:
            defences, grid = self._defences()
            found = find_victim(self.whom, self.data, self.training, self.adapting)
            defending = harden.sweep_defences(
                found.recipe,
                found.images,
                defences,
                self.data.open_store(),
                budget_l1=self.l1_budget,
                grid=grid,
                theft=self._theft(found) if self.steal else None,
                progress=progress,
            )
            report.write_defending(defending, folder)
        show(defending, report.defend_text(defending, folder), self.as_json)
        return 0

    def _defences(self) -> tuple[dict[str, dict[str, str]], tuple[float, ...] | None]:
        """Read the defences and the strengths; both are checked here, before anything is trained."""
        grid = number_list("--strengths", self.strengths) or None
        written = [read_swept(text, grid) for text in self.defence or PAPER_ANSWERS]
        defences = {defence.name: defence.settings for defence in written}
        if len(defences) < len(written):
            raise InputError("--defence names one defence twice; compare its settings in two runs")
        if grid is not None and len(defences) > 1:
            raise InputError(
                f"--strengths is for one defence, not for {' and '.join(defences)}; name one with --defence"
            )
        return defences, grid

    def _theft(self, found: Found) -> extract.ExtractRecipe:
        seed = self.training.seed
        return extract.ExtractRecipe(
            victim=found.recipe,
            images=found.images,
            queries=query_settings(self.stealing, found.images, seed=seed),
            budget=question_budget(self.stealing, found.images),
            attack=thief(self.stealing, found.images, found.network, seed=seed, device=self.training.device),
        )
