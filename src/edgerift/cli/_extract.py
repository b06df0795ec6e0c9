"""`edgerift extract`: steal a victim through its predictions, and measure the clone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from pydantic import Field

from edgerift import defend, extract, report
from edgerift.cli._datafree import (
    DataFreeOptions,
    data_free_budget,
    data_free_thief,
    require_no_counter_attack,
    require_none_given,
)
from edgerift.cli._defences import read_defence
from edgerift.cli._endpoint import EndpointOptions, FoundEndpoint, find_endpoint
from edgerift.cli._fields import Command, Shown
from edgerift.cli._options import OUT, DataOptions, Json, output_folder
from edgerift.cli._pipeline import AdaptOptions
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.cli._train import OriginalOptions, class_count, copy_files
from edgerift.cli._victim import Found, VictimOptions, find_victim, is_endpoint
from edgerift.defend import DEFENCES
from edgerift.errors import InputError
from edgerift.settings import Count, Settings, Times


class CounterOptions(Settings):
    """What the attacker does against a defence."""

    labels: Literal["soft", "hard"] = "soft"
    """train the clone on probabilities (soft) or on the top-1 class only (hard)"""
    top_k: Annotated[Count | None, Shown(advanced=True, metavar="K", default="all")] = None
    """use only the top-K classes of each prediction"""
    views: Annotated[Times, Shown(advanced=True)] = 1
    """query N flipped and shifted views per image and average the predictions; every view is a query"""
    smoothing: Annotated[float, Field(ge=0, lt=1), Shown(advanced=True)] = 0.0
    """label smoothing: mix each prediction with the uniform distribution by this share"""
    undo: Annotated[bool, Shown(advanced=True)] = False
    """invert the victim's defences, whose settings the attacker is assumed to know"""
    undo_by: Annotated[Literal["network", "table"], Shown(advanced=True)] = "network"
    """invert with a small network, or look answers up in a table and refine what is found"""
    shadows: Annotated[int, Field(ge=0, le=100), Shown(advanced=True, metavar="N", default="0, made-up answers")] = 0
    """learn the inversion from N models trained on halves of the answers; needed for defences that look at images"""


class ExtractCommand(Command):
    """Steal a model through its predictions and measure the clone.

    Queries the victim, trains a clone on its predictions and tests both. Without --adapted or --build it trains and
    quantizes a victim first. Writes theft.json, clone.safetensors, the ledger of queries and the training history
    into DIR.
    """

    example: ClassVar[str] = "edgerift extract --adapted adapted --data cifar10 --queries cifar100 --out stolen"

    out: Annotated[Path, OUT]
    """folder for the results"""
    whom: Annotated[VictimOptions, tyro.conf.arg(name=""), Shown(group="victim")] = Field(default_factory=VictimOptions)
    defence: Annotated[
        tuple[str, ...],
        tyro.conf.arg(metavar="NAME:SETTING=VALUE,..."),
        Shown(
            group="victim",
            metavar="NAME:SETTING=VALUE,...",
            text="defence of the victim; repeatable, applied in order",
            details=f"Example: reverse-sigmoid:beta=0.1,gamma=0.2. Names: {', '.join(DEFENCES.names())}",
        ),
    ] = ()
    reaching: Annotated[EndpointOptions, tyro.conf.arg(name=""), Shown(group="victim")] = Field(
        default_factory=EndpointOptions
    )
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    making: Annotated[DataFreeOptions, tyro.conf.arg(name=""), Shown(group="data-free attack", basic=("attack",))] = (
        Field(default_factory=DataFreeOptions)
    )
    stealing: Annotated[TheftOptions, tyro.conf.arg(name=""), Shown(group="theft")] = Field(
        default_factory=TheftOptions
    )
    countering: Annotated[CounterOptions, tyro.conf.arg(name=""), Shown(group="theft")] = Field(
        default_factory=CounterOptions
    )
    training: Annotated[
        OriginalOptions, tyro.conf.arg(name=""), Shown(group="training", basic=("model", "epochs", "seed"))
    ] = Field(default_factory=OriginalOptions)
    adapting: Annotated[AdaptOptions, tyro.conf.arg(name=""), Shown(group="training", basic=("method", "target"))] = (
        Field(default_factory=AdaptOptions)
    )
    as_json: Json = False

    def run(self) -> int:
        """Steal what is not stolen yet, write the files and say what the clone is worth."""
        with output_folder(self.out) as folder, progress_bars() as progress:
            recipe = self._recipe()
            store = self.data.open_store()
            theft = recipe.theft(store, progress)
            copy_files(store.get(recipe, progress), folder)
        text = (
            report.theft_text(theft, folder)
            if isinstance(theft, extract.Theft)
            else report.data_free_text(theft, folder)
        )
        show(theft, text, self.as_json)
        return 0

    def _recipe(self) -> extract.ExtractRecipe | extract.DataFreeRecipe:
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
        return extract.DataFreeRecipe(
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

    def _knockoff(self) -> extract.ExtractRecipe:
        defences = self._defences()
        found = self._victim()
        classes, kept = class_count(found.images), self.countering.top_k
        if kept is not None and kept > classes:
            raise InputError(f"--top-k is {kept}; the victim predicts {classes} classes")
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
        return extract.ExtractRecipe(
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
                undo_by=self.countering.undo_by,
                shadows=self.countering.shadows,
            ),
        )

    def _victim(self) -> Found | FoundEndpoint:
        if is_endpoint(self.whom.victim):
            return find_endpoint(self.whom, self.reaching, self.data, self.training.seed)
        return find_victim(self.whom, self.data, self.training, self.adapting)

    def _defences(self) -> tuple[defend.Defence, ...]:
        defences: tuple[defend.Defence, ...] = tuple(map(read_defence, self.defence))
        if self.countering.undo and not defences:
            raise InputError("--undo inverts the victim's defences and there are none; name one with --defence")
        if not self.countering.undo and (self.countering.shadows or self.countering.undo_by != "network"):
            raise InputError("--undo-by and --shadows say how --undo works; add --undo")
        if any(not defence.sums_to_one for defence in defences):
            raise InputError("--defence top-k: a theft is measured on answers that add up to 1; leave out renormalise")
        return defences
