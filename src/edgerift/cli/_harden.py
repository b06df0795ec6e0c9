"""`edgerift harden`: train builds that are hard to steal, steal them, and tell what that costs and buys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Final, final

import tyro
from pydantic import Field, PositiveFloat
from rich.console import Group
from rich.text import Text

from edgerift import adapt, deploy, harden, report, steps
from edgerift.adapt import Allowance
from edgerift.cli._fields import Command, Shown
from edgerift.cli._harden_evasion import Against, EvasionOptions, Given, hardened
from edgerift.cli._options import OUT, DataOptions, Json, Words, number, number_list, output_folder, word_list
from edgerift.cli._pipeline import (
    OWN_RUNTIME,
    QuantizeOptions,
    chosen_runtimes,
    find_source,
    network_name,
    qat_settings,
)
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.cli._train import OriginalOptions, copy_file
from edgerift.deploy import RuntimeName
from edgerift.errors import InputError, unknown_name
from edgerift.harden import DEFAULT_VARIANTS, PAPER_VARIANTS, VARIANTS
from edgerift.settings import TimesOrNone

_VARIANTS: Final[tuple[harden.VariantName, ...]] = VARIANTS.names()
#: The largest loss of accuracy of a defence against theft.
_DROP: Final[float] = Allowance.model_fields["accuracy_drop"].default
_GROUPS: Final[dict[str, tuple[harden.VariantName, ...]]] = {"paper": PAPER_VARIANTS, "all": _VARIANTS}


@final
class HardenOptions(QuantizeOptions):
    """How to harden, and what that may cost."""

    alpha: Annotated[str, Shown(metavar="X")] = "auto"
    """strength of DivQAT; auto searches for the largest within the limits below"""
    l1_budget: Annotated[float, Field(gt=0, le=2)] = 0.6
    """largest mean l1 distance of a defence's predictions from the QAT baseline's, at most 2"""
    accuracy_drop: Annotated[float | None, Field(ge=0, le=1), Shown(default="0.05; against evasion 0.01")] = None
    """largest loss of accuracy, as a fraction; 1 allows any"""
    highest_alpha: Annotated[PositiveFloat, Shown(advanced=True)] = 2.0
    """largest alpha that the search tries"""
    search_steps: Annotated[
        TimesOrNone | None, Shown(advanced=True, default="until the l1 is near its limit or alpha known to 0.01")
    ] = None
    """largest number of bisections of the search; each trains a model"""
    alphas: Annotated[Words, tyro.conf.arg(metavar="NUMBER ..."), Shown(advanced=True, metavar="NUMBER ...")] = ()
    """further alphas to train and attack, for the curves over alpha"""

    def fixed_alpha(self) -> float | None:
        """Read the strength that was given; None where it is searched for."""
        return None if self.alpha == "auto" else number("--alpha", self.alpha, "auto or a number from 0 up")


class HardenCommand(Command):
    """Make builds that resist theft or evasion, and attack them.

    Against theft it compares variants with plain quantization-aware training (QAT). Against evasion it tries means from
    cheap to dear, alone and behind a guard, until a build passes the policy; against both it then finds the strongest
    defences of that build's answers. Writes DIR/harden.json, reports and models.
    """

    example: ClassVar[str] = "edgerift harden --data cifar10 --variants divqat --out hardened"

    out: Annotated[Path, OUT]
    """folder for the results"""
    against: Annotated[Against, Shown(group="defence")] = "theft"
    """what the build has to resist"""
    original: Annotated[Path | None, Shown(group="model", metavar="FILE", default="train one")] = None
    """float model, or weights of --model"""
    runtime: Annotated[
        RuntimeName | None,
        Shown(group="model", advanced=True, default=OWN_RUNTIME),
    ] = None
    """runtime of the builds"""
    trust: Annotated[bool, Shown(group="model", advanced=True)] = False
    """allow an original whose architecture is your own module:factory, which runs that module's code"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    variants: Annotated[
        Words,
        tyro.conf.arg(metavar="NAME ..."),
        Shown(
            group="defence",
            metavar="NAME ...",
            text=f"variants to compare with the QAT baseline: {', '.join(_VARIANTS)}; or paper for those of the DivQAT "
            "paper, or all",
            default=", ".join(DEFAULT_VARIANTS),
        ),
    ] = ()
    hardening: Annotated[HardenOptions, tyro.conf.arg(name=""), Shown(group="defence")] = Field(
        default_factory=HardenOptions
    )
    evasion: Annotated[
        EvasionOptions, tyro.conf.arg(name=""), Shown(group="evasion", basic=("epsilon", "coverage"))
    ] = Field(default_factory=EvasionOptions)
    stealing: Annotated[TheftOptions, tyro.conf.arg(name=""), Shown(group="theft", basic=("queries", "budget"))] = (
        Field(default_factory=TheftOptions)
    )
    training: Annotated[
        OriginalOptions, tyro.conf.arg(name=""), Shown(group="training", basic=("model", "epochs", "seed"))
    ] = Field(default_factory=OriginalOptions)
    as_json: Json = False

    def run(self) -> int:
        """Compare what is not compared yet, write the files and show the comparison; 1 if no build passes a policy."""
        if self.against != "theft":
            return self._against_evasion()
        if self.evasion != EvasionOptions():
            raise InputError(
                "these options are for evasion; add --against evasion, or leave them out: " + self._unused()
            )
        with output_folder(self.out) as folder, progress_bars() as progress:
            recipe = self._recipe()
            store = self.data.open_store()
            hardening = recipe.open(store, progress)
            shipped = _copied(recipe, store, folder, progress)
            report.write_hardening(hardening, folder)
        text = report.hardening_text(hardening, folder)
        shown = text if shipped is None else Group(text, Text(shipped))
        show(hardening, shown, self.as_json)
        return 0

    def _against_evasion(self) -> int:
        if self.variants or self.stealing != TheftOptions():
            raise InputError(
                f"--variants and the options of theft are not for --against {self.against}; leave them out"
            )
        both = self.against == "both"
        given = Given(
            self.original, self.trust, self.runtime, self.data, self.training, self.hardening,
            self.hardening.accuracy_drop, self.evasion, self.hardening.l1_budget if both else None,
        )  # fmt: skip
        with output_folder(self.out) as folder, progress_bars() as progress:
            found = hardened(given, folder, self.data.open_store(), progress)
            report.write_evasion_hardening(found, folder)
            if found.theft is not None:
                report.write_defending(found.theft, folder)
        show(found, report.evasion_hardening_text(found, folder), self.as_json)
        return 0 if found.chosen is not None else 1

    def _unused(self) -> str:
        fields = (
            name
            for name in EvasionOptions.model_fields
            if getattr(self.evasion, name) != getattr(EvasionOptions(), name)
        )
        return ", ".join(f"--{name.replace('_', '-')}" for name in fields)

    def _recipe(self) -> harden.HardenRecipe:
        options = self.hardening
        (runtime,) = chosen_runtimes(options.target, (self.runtime,) if self.runtime else ())
        seed = self.training.seed
        original, described = find_source(
            self.data.images(seed), self.training, self.original, self.trust, options.target
        )
        return harden.HardenRecipe.model_validate(
            {
                "original": original,
                "images": described,
                "target": options.target,
                "runtime": runtime,
                "settings": qat_settings(self.training, options),
                "allowance": Allowance(
                    l1=options.l1_budget,
                    accuracy_drop=_DROP if options.accuracy_drop is None else options.accuracy_drop,
                    high=options.highest_alpha,
                    steps=options.search_steps,
                ),
                "alpha": options.fixed_alpha(),
                "rows": self._named(),
                "alphas": number_list("--alphas", options.alphas),
                "queries": query_settings(self.stealing, described, seed=seed),
                "budget": question_budget(self.stealing, described),
                "attack": thief(
                    self.stealing, described, network_name(original), seed=seed, device=self.training.device
                ),
            }
        )

    def _named(self) -> tuple[harden.VariantName, ...]:
        names = word_list(self.variants)
        for name in names:
            if name not in _VARIANTS and name not in _GROUPS:
                raise InputError(unknown_name(VARIANTS.kind, name, (*_VARIANTS, *_GROUPS)))
        named = [variant for name in names for variant in _GROUPS.get(name, (name,))]
        return tuple(variant for variant in _VARIANTS if variant in named) or DEFAULT_VARIANTS


def _copied(recipe: harden.HardenRecipe, store: steps.Store, folder: Path, progress: steps.Progress) -> str | None:
    """Copy the hardened models of the last variant that was trained with a defence, and say which; None without one.

    A variant whose answers are changed afterwards too comes last of all: its build is only a part of its defence.
    """
    made = [recipe.victims.made(name, store, progress) for name in recipe.rows]
    trained = [one for one in made if _is_trained(one)]
    if not trained:
        return None
    variant = max(reversed(trained), key=lambda variant: not variant.defences)
    building = variant.victim
    assert isinstance(building, deploy.BuildRecipe)
    artefact = store.get(building, progress) / building.artefact
    copy_file(store.get(recipe.original, progress) / "original.safetensors", folder / "original.safetensors")
    copy_file(store.get(building.program, progress) / "program.safetensors", folder / "program.safetensors")
    copy_file(artefact, folder / artefact.name)
    if variant.strength is None:
        return f"{folder / artefact.name} is the plain QAT build: no strength of {variant.title} was allowed."
    return f"{folder / artefact.name} is the hardened build: {variant.title}, strength {variant.strength:g}."


def _is_trained(variant: harden.MadeVariant) -> bool:
    return isinstance(variant.victim, deploy.BuildRecipe) and not isinstance(variant.victim.program, adapt.AdaptRecipe)
