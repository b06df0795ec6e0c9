"""`edgerift extract`: steal a victim through its answers, and tell what the thief took."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from pydantic import Field

from edgerift.cli._datafree import (
    DataFreeOptions,
    data_free_budget,
    data_free_thief,
    require_no_counter_attack,
    require_none_given,
)
from edgerift.cli._defences import read_defence
from edgerift.cli._options import DataOptions, Json, output_folder
from edgerift.cli._pipeline import AdaptOptions
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.cli._train import OriginalOptions, class_count, copy_files
from edgerift.cli._victim import VictimOptions, find_victim
from edgerift.defend import DEFENCES, Defence
from edgerift.errors import InputError
from edgerift.extract import DataFreeRecipe, ExtractRecipe, Theft
from edgerift.report import data_free_text, theft_text
from edgerift.settings import Count, Settings, Times


class CounterOptions(Settings):
    """What the thief does against a defence."""

    labels: Literal["soft", "hard"] = "soft"
    """learn from the answers as they are, or from their most likely class alone"""
    top_k: Count | None = None
    """learn from so many of the most likely classes of each answer; from all unless given"""
    views: Times = 1
    """ask about so many mirrored and shifted views of each image and average the answers; each view is paid for"""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """mix each answer with the uniform one, by this share"""
    undo: bool = False
    """the thief knows the victim's defences and their settings, and inverts them"""


class ExtractCommand(Settings):
    """Steal a victim: ask it about images, train a clone on its answers, and measure both on the test images.

    Without a victim it trains and adapts one on the data. Writes DIR/theft.json, DIR/clone.safetensors, the ledger of
    what was paid for, and how the clone learned: DIR/history.json and DIR/history.png, or DIR/curve.png
    and DIR/samples.png.
    """

    out: Path
    """the folder for the results"""
    defence: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="NAME:SETTING=VALUE,...",
            help="what changes the victim's answers, with its settings, such as reverse-sigmoid:beta=0.1,gamma=0.2; "
            f"several are applied one after the other. Names: {', '.join(DEFENCES.names())}",
        ),
    ] = ()
    whom: Annotated[VictimOptions, tyro.conf.arg(name="")] = VictimOptions()
    data: Annotated[DataOptions, tyro.conf.arg(name="")] = DataOptions()
    stealing: Annotated[TheftOptions, tyro.conf.arg(name="")] = TheftOptions()
    making: Annotated[DataFreeOptions, tyro.conf.arg(name="")] = DataFreeOptions()
    countering: Annotated[CounterOptions, tyro.conf.arg(name="")] = CounterOptions()
    training: Annotated[OriginalOptions, tyro.conf.arg(name="")] = OriginalOptions()
    adapting: Annotated[AdaptOptions, tyro.conf.arg(name="")] = AdaptOptions()
    as_json: Json = False

    def run(self) -> int:
        """Steal what is not stolen yet, write the files and say what the clone is worth."""
        folder = output_folder(self.out)
        with progress_bars() as progress:
            recipe = self._recipe()
            store = self.data.open_store()
            theft = recipe.theft(store, progress)
            copy_files(store.get(recipe, progress), folder)
        text = theft_text(theft, folder) if isinstance(theft, Theft) else data_free_text(theft, folder)
        show(theft, text, self.as_json)
        return 0

    def _recipe(self) -> ExtractRecipe | DataFreeRecipe:
        if self.making.attack == "knockoff":
            require_none_given(self.making)
            return self._knockoff()
        require_no_counter_attack(self.countering, self.making.attack)
        found = find_victim(self.whom, self.data, self.training, self.adapting)
        attack = data_free_thief(
            self.making,
            self.stealing,
            found.images,
            found.network,
            seed=self.training.seed,
            device=self.training.device,
        )
        is_float = self.making.simulated or found.recipe.type in ("train", "given-original")
        return DataFreeRecipe(
            victim=found.recipe,
            defences=self._defences(),
            images=found.images,
            budget=data_free_budget(self.stealing, found.images, attack),
            attack=attack,
            pixels=self.making.pixels or ("float" if is_float else "whole"),
            simulated=self.making.simulated,
            in_colour=self.making.in_colour,
            points=self.making.curve_points,
            program=found.program,
            keep=self.making.keep_answers,
        )

    def _knockoff(self) -> ExtractRecipe:
        defences = self._defences()
        found = find_victim(self.whom, self.data, self.training, self.adapting)
        classes, kept = class_count(found.images), self.countering.top_k
        if kept is not None and kept > classes:
            raise InputError(f"--top-k is {kept}; the victim answers {classes} classes")
        budget, views = question_budget(self.stealing, found.images), self.countering.views
        if views > budget:
            raise InputError(f"--views is {views} and the budget is {budget} images; give fewer views")
        seed = self.training.seed
        attack = thief(
            self.stealing,
            found.images,
            found.network,
            labels=self.countering.labels,
            seed=seed,
            device=self.training.device,
        )
        return ExtractRecipe(
            victim=found.recipe,
            defences=defences,
            images=found.images,
            queries=query_settings(self.stealing, found.images, seed=seed),
            budget=budget,
            attack=attack.replace(
                top_k=kept,
                views=views,
                smoothing=self.countering.smoothing,
                undo=defences if self.countering.undo else (),
            ),
        )

    def _defences(self) -> tuple[Defence, ...]:
        defences: tuple[Defence, ...] = tuple(map(read_defence, self.defence))
        if self.countering.undo and not defences:
            raise InputError("--undo inverts the victim's defences and there are none; name one with --defence")
        if any(not defence.sums_to_one for defence in defences):
            raise InputError("--defence top-k: a theft is measured on answers that add up to 1; leave out renormalise")
        return defences
