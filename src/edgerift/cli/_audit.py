"""`edgerift audit`: attack a pair, prove what was found, and judge it by a policy."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, NamedTuple, Self

import tyro
from pydantic import Field, field_validator

from edgerift import adapt, audit, deploy, evade, images, report, train
from edgerift.cli._adapted_files import RECIPE, read_recipe
from edgerift.cli._attack_options import AttackOptions, named_attack
from edgerift.cli._build_options import BUILD_FILES, SeveralKernels, kernels_named, runtime_of
from edgerift.cli._closing import closing_command
from edgerift.cli._fields import Command, Shown
from edgerift.cli._guard import GUARD, chosen_guard
from edgerift.cli._knowledge import KnowledgeOptions, surrogate_recipes
from edgerift.cli._options import OUT, DataOptions, Json, output_folder
from edgerift.cli._pipeline import (
    OWN_RUNTIME,
    AdaptOptions,
    adapt_recipe,
    chosen_runtimes,
    control_recipe,
    fitting,
    given_control,
    network_name,
    shipped_build,
)
from edgerift.cli._price import tell_price
from edgerift.cli._specification import BUILD_INPUT, chosen_specification, described_original
from edgerift.cli._suggest import suggestion
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.cli._train import OriginalOptions
from edgerift.deploy import RuntimeName
from edgerift.errors import InputError, unknown_name
from edgerift.settings import is_file, is_folder

if TYPE_CHECKING:
    from edgerift.cli._pipeline import Control


class _Examined(NamedTuple):
    """A pair, the images as it knows their classes, and the control where there is one."""

    pair: evade.PairSettings
    images: images.ImagesSettings
    control: Control | None


#: What may be examined, in the order of the report.
THREATS: Final = ("evasion", "theft", "tampering")

_FOLDER: Final = "With a folder its build is audited"

#: What the short help shows of nested options.
_THEFT: Final = ("queries", "budget")
_TRAINING: Final = ("model", "input", "epochs", "seed")
_ADAPTING: Final = ("method", "target")

_BUILD: Final = f"deployed {BUILD_FILES} file"
_LIMITS: Final = "at most 10 % evasive, 90 % clone agreement"


class AuditCommand(Command):
    """Attack an int8 build, verify every finding, give a verdict.

    Finds images that the original classifies correctly and the build does not, tries to steal the build, and writes
    report.html, audit.json, findings/, SARIF, JUnit and summary.md. Without --adapted it trains and quantizes a model
    first. The exit code is 0 if the release gate passes, else 1.
    """

    example: ClassVar[str] = "edgerift audit --adapted adapted --data cifar10 --out audit"

    out: Annotated[Path, OUT] = Path("audit")
    """folder for the results"""
    original: Annotated[Path | None, Shown(group="model", metavar="FILE", default="train one")] = None
    """float model, or weights of --model"""
    adapted: Annotated[Path | None, Shown(group="model", default="quantize the original", details=_FOLDER)] = None
    """program.safetensors, or a folder of `edgerift adapt`"""
    build: Annotated[Path | None, Shown(group="model", metavar="FILE", default="compile one", text=_BUILD)] = None
    build_input: Annotated[str | None, BUILD_INPUT] = None
    """what the build takes and answers, where its file does not say"""
    guard: Annotated[str | None, GUARD] = None
    """abstain where the build's two best scores are close; images are then evasive only if they are answered"""
    runtime: Annotated[
        RuntimeName | None,
        Shown(group="model", advanced=True, default=OWN_RUNTIME),
    ] = None
    """runtime of the build, which has the last word on every finding"""
    kernels: SeveralKernels = ()
    trust: Annotated[bool, Shown(group="model", advanced=True)] = False
    """allow what runs code when it is opened: Inductor packages, architectures and attacks of your own, module:name"""
    data: Annotated[DataOptions, tyro.conf.arg(name=""), Shown(group="data")] = Field(default_factory=DataOptions)
    threats: Annotated[
        tuple[str, ...],
        Shown(group="attack", metavar="NAME,...", default="evasion; theft for digits or with its options"),
    ] = ()
    """what to examine: evasion, theft, tampering"""
    attacking: Annotated[AttackOptions, tyro.conf.arg(name=""), Shown(group="attack")] = Field(
        default_factory=AttackOptions
    )
    control: Annotated[Literal["auto", "yes", "no"], Shown(group="attack", advanced=True)] = "auto"
    """attack the original fine-tuned in float too, as a control; auto does so if this run trains what it quantizes"""
    knowing: Annotated[KnowledgeOptions, tyro.conf.arg(name=""), Shown(group="attack", advanced=True)] = Field(
        default_factory=KnowledgeOptions
    )
    stealing: Annotated[TheftOptions, tyro.conf.arg(name=""), Shown(group="theft", basic=_THEFT)] = Field(
        default_factory=TheftOptions
    )
    policy: Annotated[Path | None, Shown(group="gate", metavar="FILE", default=_LIMITS)] = None
    """YAML file with the limits of the release gate"""
    baseline: Annotated[Path | None, Shown(group="gate", metavar="DIR")] = None
    """folder of an earlier audit; the gate fails if significantly more images evade now"""
    suggest: Annotated[bool, Shown(group="gate", advanced=True)] = False
    """if too many images evade, also measure on a sample what a guard alone would do, and for what price"""
    allow_mismatch: Annotated[bool, Shown(group="gate", advanced=True)] = False
    """audit although the program was not made from this original, or the build not from this program"""
    allow_inaccurate: Annotated[bool, Shown(group="gate", advanced=True)] = False
    """audit although the original is hardly better than chance, or far worse than when it was trained"""
    training: Annotated[OriginalOptions, tyro.conf.arg(name=""), Shown(group="training", basic=_TRAINING)] = Field(
        default_factory=OriginalOptions
    )
    adapting: Annotated[AdaptOptions, tyro.conf.arg(name=""), Shown(group="training", basic=_ADAPTING)] = Field(
        default_factory=AdaptOptions
    )
    as_json: Json = False
    called: Annotated[str, tyro.conf.Suppress] = "edgerift audit"
    """the whole command as a shell takes it, kept in the audit"""

    @field_validator("threats")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        named = [name.strip() for part in given for name in part.split(",")]
        for name in named:
            if name not in THREATS:
                raise ValueError(unknown_name("threat", name, THREATS))
        return tuple(name for name in THREATS if name in named)

    @field_validator("kernels")
    @classmethod
    def _known_kernels(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return kernels_named(given)

    @property
    def judge(self) -> str | None:
        """The runtime that was asked for, with the first of its kernels."""
        return runtime_of(self.runtime, next(iter(self.kernels), None), self.build)

    @property
    def examined(self) -> tuple[str, ...]:
        """The threats that are examined; theft, which may take hours, only where it is short or was asked for."""
        is_asked = self.data.data == "digits" or self.stealing != TheftOptions()
        return self.threats or (("evasion", "theft") if is_asked else ("evasion",))

    def called_as(self, line: str) -> Self:
        """Keep the whole command."""
        return self.replace(called=line)

    def run(self) -> int:
        """Audit, write the folder, show the verdict; returns 1 when the gate does not hold."""
        policy = audit.read_policy(self.policy) if self.policy is not None else audit.Policy()
        workers = self.attacking.workers
        with output_folder(self.out) as folder, progress_bars() as progress:
            recipe = self._recipe()
            store = self.data.open_store()
            thefts = list(recipe.extractions)
            finished = audit.run_audit(
                recipe,
                folder,
                store,
                policy=policy,
                baseline=self.baseline,
                allow_mismatch=self.allow_mismatch,
                allow_inaccurate=self.allow_inaccurate,
                made=self._made(folder),
                before=lambda: tell_price(thefts, store, progress, "--threats evasion skips them"),
                suggest=(lambda: suggestion(recipe, policy, store, progress)) if self.suggest else None,
                reports=report.write_reports,
                workers=workers,
                progress=progress,
            )
        show(finished, report.audit_text(finished, folder), self.as_json)
        report.append_ci_summary(report.audit_summary(finished), os.environ)
        return 0 if finished.verdict == "pass" else 1

    def _made(self, folder: Path) -> audit.Made:
        at = datetime.now(UTC).replace(microsecond=0)
        closing = closing_command(self, folder)
        return audit.Made(at=at, command=self.called, folder=report.place_in_repository(folder), closing=closing)

    def _recipe(self) -> audit.AuditRecipe:
        if len(self.kernels) > 1 and "evasion" not in self.examined:
            raise InputError("several sets of kernels are compared by attacks on images; add evasion to --threats")
        described = self.data.images(self.training.seed)
        if self.adapted is None and self.build is not None:
            pair, described, control = self._shipped_pair(self.build, described)
        elif self.adapted is None:
            pair, described, control = self._made_pair(described)
        else:
            pair, described, control = self._given_pair(self.adapted, described)
        if (guard := chosen_guard(self.guard, pair.build, described)) is not None:
            pair = pair.replace(guard=guard)
        attacks = self._attacks() if "evasion" in self.examined else {}
        return audit.AuditRecipe(
            pair=pair,
            images=described,
            attacks=attacks,
            main=next(iter(attacks), None),
            thefts=self._thefts(described, pair.original) if "theft" in self.examined else {},
            count=self.attacking.images,
            shard=self.attacking.shard,
            draw=self.training.seed,
            control=control if attacks else None,
            classes=self.attacking.embed_class,
            others=self._others(pair.build),
            tampering=self._tampering(pair) if "tampering" in self.examined else None,
            knowledge=surrogate_recipes(self, pair, described),
        )

    def _others(
        self, build: deploy.BuildRecipe | deploy.GivenBuild
    ) -> tuple[deploy.BuildRecipe | deploy.GivenBuild, ...]:
        """Describe the build's file as the further sets of kernels run it."""
        return tuple(build.replace(runtime=deploy.with_kernels(build.runtime, name)) for name in self.kernels[1:])

    def _attacks(self) -> dict[str, evade.Attack]:
        options = self.attacking
        described: dict[str, evade.Attack] = {}
        for given in options.attack or ("default", "diva-2022", "pgd"):
            name, attack = named_attack(given, options, trust=self.trust)
            if evade.is_own(given) and name in described:
                raise InputError(f"two attacks are called '{name}'; rename the function of '{given}'")
            described[name] = attack.replace(stop=options.stop)
        return described

    def _thefts(
        self, described: images.ImagesSettings, original: train.TrainRecipe | adapt.GivenOriginal
    ) -> dict[str, audit.TheftSettings]:
        """Describe two attackers with the same queries: one sees probabilities, one the top-1 class only."""
        seed, device = self.training.seed, self.training.device
        queries = query_settings(self.stealing, described, seed=seed)
        network = network_name(original)
        kinds: tuple[Literal["soft", "hard"], ...] = ("soft", "hard")
        return {
            labels: audit.TheftSettings(
                queries=queries,
                budget=question_budget(self.stealing, described),
                attack=thief(self.stealing, described, network, labels=labels, seed=seed, device=device),
            )
            for labels in kinds
        }

    def _tampering(self, pair: evade.PairSettings) -> audit.TamperingSettings:
        """Describe how the build is verified; a training is not repeated for it."""
        recipe = pair.program if isinstance(pair.program, adapt.AdaptRecipe) else None
        if self.adapted is not None and is_folder(self.adapted) and is_file(self.adapted / RECIPE):
            recipe = read_recipe(self.adapted / RECIPE)
        return audit.TamperingSettings(recipe=recipe if recipe is not None and recipe.method == "ptq" else None)

    def _made_pair(self, described: images.ImagesSettings) -> _Examined:
        recipe = adapt_recipe(described, self.training, self.adapting, self.original, self.trust)
        (runtime,) = chosen_runtimes(self.adapting.target, (self.judge,) if self.judge else ())
        building = deploy.BuildRecipe.model_validate({"program": recipe, "runtime": runtime})
        wanted = self.control == "yes" or (self.control == "auto" and self.adapting.method != "ptq")
        pair = evade.PairSettings(original=recipe.original, program=recipe, build=building)
        return _Examined(pair, recipe.images, control_recipe(recipe) if wanted else None)

    def _shipped_pair(self, path: Path, described: images.ImagesSettings) -> _Examined:
        """Take a build that another tool made, beside the original that it was made from."""
        if self.original is None:
            raise InputError("--build is compared with the model that it was made from; pass that with --original")
        if self.control == "yes":
            raise InputError("--control yes needs a build that edgerift makes; leave it out with --build")
        original = described_original(self.original, self.training, described, self.trust)
        told = chosen_specification(self.build_input, path)
        build = deploy.given_build(path, self.judge, trust=self.trust, specification=told)
        described = fitting(adapt.load_original(original), described, file=self.original)
        return _Examined(evade.PairSettings(original=original, build=build), described, None)

    def _given_pair(self, adapted: Path, described: images.ImagesSettings) -> _Examined:
        program_path = adapted / "program.safetensors" if is_folder(adapted) else adapted
        original_path = self.original or program_path.with_name("original.safetensors")
        program = deploy.given_program(program_path)
        original = described_original(original_path, self.training, described, self.trust)
        classes = deploy.Program.load(program_path).provenance.classes
        described = fitting(adapt.load_original(original), described, classes, file=original_path)
        build = shipped_build(adapted, program, self.build, self.judge, trust=self.trust)
        pair = evade.PairSettings(original=original, program=program, build=build)
        if self.control != "yes":
            return _Examined(pair, described, None)
        control = given_control(program_path, original, described, self.training, self.adapting)
        return _Examined(pair, described, control)
