"""`edgerift defend`: try defences of a victim's answers, and find the strongest that a budget allows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import tyro
from pydantic import Field

from edgerift.cli._defences import read_swept
from edgerift.cli._options import DataOptions, Json, Words, number_list, output_folder
from edgerift.cli._pipeline import AdaptOptions
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.cli._train import OriginalOptions
from edgerift.cli._victim import Found, VictimOptions, find_victim
from edgerift.defend import DEFENCES
from edgerift.errors import InputError
from edgerift.extract import ExtractRecipe
from edgerift.harden import sweep_defences
from edgerift.report import defend_text, write_defending
from edgerift.settings import Settings

_DEFAULT: Final = ("reverse-sigmoid", "deception")


class DefendCommand(Settings):
    """Try defences of a victim's answers over their strengths: what each costs, and the strongest that is allowed.

    The answers to the validation images are measured; with --steal the victim is stolen too, behind every strength.
    Without a victim it trains and adapts one on the data. Writes DIR/defend.json and its pictures.
    """

    out: Path
    """the folder for the results"""
    defence: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="NAME:SETTING=VALUE,...",
            help="a defence, with the settings that stay as they are, such as reverse-sigmoid:gamma=0.5; may be given "
            f"several times; default: {' and '.join(_DEFAULT)}. Names, with the setting that is swept: "
            + ", ".join(f"{name} ({one.strength_field or 'none'})" for name, one in DEFENCES.items()),
        ),
    ] = ()
    strengths: Annotated[Words, tyro.conf.arg(metavar="NUMBER ...")] = ()
    """strengths to try, of one defence, in place of its published ones"""
    l1_budget: Annotated[float, Field(ge=0, le=2)] = 0.6
    """how far the answers may move: the mean l1 distance to the clean ones, at most 2"""
    steal: bool = False
    """steal the victim behind each strength, with soft labels"""
    whom: Annotated[VictimOptions, tyro.conf.arg(name="")] = VictimOptions()
    data: Annotated[DataOptions, tyro.conf.arg(name="")] = DataOptions()
    stealing: Annotated[TheftOptions, tyro.conf.arg(name="")] = TheftOptions()
    training: Annotated[OriginalOptions, tyro.conf.arg(name="")] = OriginalOptions()
    adapting: Annotated[AdaptOptions, tyro.conf.arg(name="")] = AdaptOptions()
    as_json: Json = False

    def run(self) -> int:
        """Measure, write the files and show what each defence costs."""
        folder = output_folder(self.out)
        with progress_bars() as progress:
            defences, grid = self._defences()
            found = find_victim(self.whom, self.data, self.training, self.adapting)
            defending = sweep_defences(
                found.recipe,
                found.images,
                defences,
                self.data.open_store(),
                budget_l1=self.l1_budget,
                grid=grid,
                theft=self._theft(found) if self.steal else None,
                progress=progress,
            )
            write_defending(defending, folder)
        show(defending, defend_text(defending, folder), self.as_json)
        return 0

    def _defences(self) -> tuple[dict[str, dict[str, str]], tuple[float, ...] | None]:
        """Read the defences and the strengths; both are checked here, before anything is trained."""
        grid = number_list("--strengths", self.strengths) or None
        written = [read_swept(text, grid) for text in self.defence or _DEFAULT]
        defences = {defence.name: defence.settings for defence in written}
        if len(defences) < len(written):
            raise InputError("--defence names one defence twice; compare its settings in two runs")
        if grid is not None and len(defences) > 1:
            raise InputError(
                f"--strengths are of one defence, not of {' and '.join(defences)}; name one with --defence"
            )
        return defences, grid

    def _theft(self, found: Found) -> ExtractRecipe:
        seed = self.training.seed
        return ExtractRecipe(
            victim=found.recipe,
            images=found.images,
            queries=query_settings(self.stealing, found.images, seed=seed),
            budget=question_budget(self.stealing, found.images),
            attack=thief(self.stealing, found.images, found.network, seed=seed, device=self.training.device),
        )
