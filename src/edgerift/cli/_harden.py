"""`edgerift harden`: train builds that are hard to steal, steal them, and tell what that costs and buys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, final, get_args

import tyro
from pydantic import Field, PositiveFloat
from rich.console import Group
from rich.text import Text

from edgerift.adapt import AdaptRecipe, Allowance
from edgerift.cli._options import DataOptions, Json, Words, number, number_list, output_folder, word_list
from edgerift.cli._pipeline import QuantizeOptions, chosen_runtimes, find_source, network_name, qat_settings
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.cli._train import OriginalOptions, copy_file
from edgerift.deploy import BuildRecipe, RuntimeName
from edgerift.errors import InputError, unknown_name
from edgerift.harden import PAPER_ROWS, HardenRecipe, Row, RowName, make_row
from edgerift.report import hardening_text, write_hardening
from edgerift.settings import Settings, TimesOrNone
from edgerift.steps import Progress, Store

_ROWS: Final[tuple[RowName, ...]] = get_args(RowName)
_DEFAULT: Final[tuple[RowName, ...]] = HardenRecipe.model_fields["rows"].default
_GROUPS: Final[dict[str, tuple[RowName, ...]]] = {"paper": PAPER_ROWS, "all": _ROWS}


@final
class HardenOptions(QuantizeOptions):
    """How to harden, and what that may cost."""

    alpha: str = "auto"
    """DivQAT's strength; auto searches for the strongest that is allowed"""
    l1_budget: Annotated[float, Field(gt=0, le=2)] = 0.6
    """how far the answers may move from the plain quantized model's: the mean l1 distance, at most 2"""
    accuracy_drop: Annotated[float, Field(ge=0, le=1)] = 0.05
    """how much accuracy a training-time defence may cost, as a share"""
    highest_alpha: PositiveFloat = 2.0
    """the highest strength that the search tries"""
    search_steps: TimesOrNone = 6
    """how often the search halves its bracket; each step is a training"""
    alphas: Annotated[Words, tyro.conf.arg(metavar="NUMBER ...")] = ()
    """strengths at which DivQAT is trained and stolen as well, for the curves over alpha"""

    def fixed_alpha(self) -> float | None:
        """Read the strength that was given; None where it is searched for."""
        return None if self.alpha == "auto" else number("--alpha", self.alpha, "auto or a number from 0 up")


class HardenCommand(Settings):
    """Train a hardened build, steal it and an undefended one with soft and with hard labels, and compare.

    Writes DIR/harden.json, the report beside it, and the hardened original.safetensors, program.safetensors and
    model.* of the last victim that was trained with a defence.
    """

    out: Path
    """the folder for the results"""
    victims: Annotated[
        Words,
        tyro.conf.arg(
            metavar="NAME ...",
            help="whom to compare, beside qat, which the others are measured against; paper is what the second paper "
            f"compares, all is all of {', '.join(_ROWS)}; {', '.join(_DEFAULT)} unless given",
        ),
    ] = ()
    original: Path | None = None
    """an original.safetensors to harden; trained from the data unless given"""
    runtime: RuntimeName | None = None
    """the runtime of the builds; the target's own unless given"""
    trust: bool = False
    """allow an original whose architecture is your own module:factory, which runs that module's code"""
    data: Annotated[DataOptions, tyro.conf.arg(name="")] = DataOptions()
    hardening: Annotated[HardenOptions, tyro.conf.arg(name="")] = HardenOptions()
    stealing: Annotated[TheftOptions, tyro.conf.arg(name="")] = TheftOptions()
    training: Annotated[OriginalOptions, tyro.conf.arg(name="")] = OriginalOptions()
    as_json: Json = False

    def run(self) -> int:
        """Compare what is not compared yet, write the files and show the comparison."""
        folder = output_folder(self.out)
        with progress_bars() as progress:
            recipe = self._recipe()
            store = self.data.open_store()
            hardening = recipe.open(store, progress)
            shipped = _copied(recipe, store, folder, progress)
            write_hardening(hardening, folder)
        text = hardening_text(hardening, folder)
        shown = text if shipped is None else Group(text, Text(shipped))
        show(hardening, shown, self.as_json)
        return 0

    def _recipe(self) -> HardenRecipe:
        options = self.hardening
        (runtime,) = chosen_runtimes(options.target, (self.runtime,) if self.runtime else ())
        seed = self.training.seed
        original, described = find_source(
            self.data.images(seed), self.training, self.original, self.trust, options.target
        )
        return HardenRecipe.model_validate(
            {
                "original": original,
                "images": described,
                "target": options.target,
                "runtime": runtime,
                "settings": qat_settings(self.training, options),
                "allowance": Allowance(
                    l1=options.l1_budget,
                    accuracy_drop=options.accuracy_drop,
                    high=options.highest_alpha,
                    steps=options.search_steps,
                ),
                "alpha": options.fixed_alpha(),
                "rows": self._rows(),
                "alphas": number_list("--alphas", options.alphas),
                "queries": query_settings(self.stealing, described, seed=seed),
                "budget": question_budget(self.stealing, described),
                "attack": thief(
                    self.stealing, described, network_name(original), seed=seed, device=self.training.device
                ),
            }
        )

    def _rows(self) -> tuple[RowName, ...]:
        names = word_list(self.victims)
        for name in names:
            if name not in _ROWS and name not in _GROUPS:
                raise InputError(unknown_name("victim", name, (*_ROWS, *_GROUPS)))
        named = [row for name in names for row in _GROUPS.get(name, (name,))]
        return tuple(row for row in _ROWS if row in named) or _DEFAULT


def _copied(recipe: HardenRecipe, store: Store, folder: Path, progress: Progress) -> str | None:
    """Copy the hardened models of the last row that was trained with a defence, and say which; None without one.

    A row whose answers are changed afterwards too comes last of all: its build is only a part of its defence.
    """
    rows = [make_row(name, recipe.victims, store, progress) for name in recipe.rows]
    trained = [row for row in rows if _is_trained(row)]
    if not trained:
        return None
    row = max(reversed(trained), key=lambda row: not row.defences)
    building = row.victim
    assert isinstance(building, BuildRecipe)
    artefact = store.get(building, progress) / building.artefact
    copy_file(store.get(recipe.original, progress) / "original.safetensors", folder / "original.safetensors")
    copy_file(store.get(building.program, progress) / "program.safetensors", folder / "program.safetensors")
    copy_file(artefact, folder / artefact.name)
    if row.strength is None:
        return (
            f"{folder / artefact.name} is the plain quantization-aware build: no strength of {row.title} was allowed."
        )
    return f"{folder / artefact.name} is the hardened build: {row.title}, strength {row.strength:g}."


def _is_trained(row: Row) -> bool:
    return isinstance(row.victim, BuildRecipe) and not isinstance(row.victim.program, AdaptRecipe)
