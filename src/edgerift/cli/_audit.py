"""`edgerift audit`: attack a pair, prove what was found, and judge it by a policy."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import tyro
from pydantic import field_validator

from edgerift import images, zoo
from edgerift.adapt import FinetuneRecipe, GivenOriginal, given_original
from edgerift.audit import AuditRecipe, Made, Policy, TheftSettings, read_policy, run_audit
from edgerift.cli._options import LEVELS, DataOptions, Json, output_folder
from edgerift.cli._pipeline import (
    AdaptOptions,
    adapt_recipe,
    chosen_runtimes,
    control_recipe,
    fitting,
    network_name,
    shipped_build,
)
from edgerift.cli._price import tell_price
from edgerift.cli._terminal import progress_bars, show
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.cli._train import OriginalOptions
from edgerift.deploy import BuildRecipe, Program, RuntimeName, given_program
from edgerift.errors import InputError, unknown_name
from edgerift.evade import Attack, GreyLevels, PairSettings, preset
from edgerift.report import append_ci_summary, audit_summary, audit_text, place_in_repository, write_reports
from edgerift.settings import ClassNumber, Count, Settings, Times, is_folder
from edgerift.train import TrainRecipe, TrainSettings


class AttackOptions(Settings):
    """How to attack."""

    attack: tuple[str, ...] = ()
    """a named attack, such as default, diva-2022, pgd; may be given several times, and the first is the one that is
    judged; default, diva-2022 and pgd unless given"""
    epsilon: Annotated[GreyLevels, LEVELS] = 8
    """how far a pixel may move, in grey levels"""
    steps: Times = 20
    """gradient calls for each image; fgsm and r-fgsm make one"""
    stop: Literal["goal", "never"] = "never"
    """goal leaves an image at its first success, which is faster; never also tells the rate at the last iterate"""
    images: Count | None = None
    """attack at most so many of the test images that both models get right; all unless given"""
    embed_class: tuple[ClassNumber, ...] = ()
    """a class number to show in the embedding; may be given several times; all unless given"""


class _Examined(NamedTuple):
    """A pair, the images as it knows their classes, and the control where there is one."""

    pair: PairSettings
    images: images.ImagesSettings
    control: FinetuneRecipe | None


#: What may be examined, in the order of the report.
THREATS: Final = ("evasion", "theft")


class AuditCommand(Settings):
    """Find images that the original gets right and the build gets wrong, steal the build, and judge the release.

    Without a pair it trains and adapts one on the data. Writes DIR/report.html, DIR/audit.json, DIR/samples.jsonl,
    DIR/findings/, DIR/report.sarif, DIR/report.junit.xml, DIR/summary.md and copies of the models. The exit code is 0
    when the gate holds and 1 when it does not.
    """

    out: Path = Path("audit")
    """the folder for the results"""
    threats: tuple[str, ...] = ()
    """what to examine: evasion, theft, or evasion,theft; may be given several times; unless given evasion, and with
    digits or an option of theft both"""
    original: Path | None = None
    """an original.safetensors; trained from the data unless given"""
    adapted: Path | None = None
    """its program.safetensors, or a folder that `edgerift adapt --out` wrote, whose build is then judged"""
    build: Path | None = None
    """the shipped .pte, .onnx or .pt2; compiled from the program unless given"""
    runtime: RuntimeName | None = None
    """the runtime that judges; the target's own unless given"""
    policy: Path | None = None
    """a YAML file with the gate's limits; unless given, the interval of the evasive rate may end at 10 %, and that of
    the best clone's agreement with the build at 90 %"""
    baseline: Path | None = None
    """an earlier audit's folder; the gate fails when significantly more images evade now"""
    control: Literal["auto", "yes", "no"] = "auto"
    """attack the float-fine-tuned original too; auto does so where the pair is made here by qat"""
    trust: bool = False
    """open an Inductor package or an original of your own factory, which runs code"""
    allow_mismatch: bool = False
    """audit although the program was not made from this original, or the build not from this program"""
    allow_inaccurate: bool = False
    """audit although the original does hardly better than chance, or far worse than in its training"""
    data: Annotated[DataOptions, tyro.conf.arg(name="")] = DataOptions()
    attacking: Annotated[AttackOptions, tyro.conf.arg(name="")] = AttackOptions()
    stealing: Annotated[TheftOptions, tyro.conf.arg(name="")] = TheftOptions()
    training: Annotated[OriginalOptions, tyro.conf.arg(name="")] = OriginalOptions()
    adapting: Annotated[AdaptOptions, tyro.conf.arg(name="")] = AdaptOptions()
    as_json: Json = False
    called: Annotated[str, tyro.conf.Suppress] = "edgerift audit"
    """the whole command as a shell takes it, which the audit keeps"""

    @field_validator("threats")
    @classmethod
    def _known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        named = [name.strip() for part in given for name in part.split(",")]
        for name in named:
            if name not in THREATS:
                raise ValueError(unknown_name("threat", name, THREATS))
        return tuple(name for name in THREATS if name in named)

    @property
    def examined(self) -> tuple[str, ...]:
        """The threats that are examined; theft, which may take hours, only where it is short or was asked for."""
        is_asked = self.data.data == "digits" or self.stealing != TheftOptions()
        return self.threats or (THREATS if is_asked else ("evasion",))

    def run(self) -> int:
        """Audit, write the folder, show the verdict; returns 1 when the gate does not hold."""
        policy = read_policy(self.policy) if self.policy is not None else Policy()
        folder = output_folder(self.out)
        with progress_bars() as progress:
            recipe = self._recipe()
            store = self.data.open_store()
            thefts = [recipe.stealing(name) for name in recipe.thefts]
            audit = run_audit(
                recipe,
                folder,
                store,
                policy=policy,
                baseline=self.baseline,
                allow_mismatch=self.allow_mismatch,
                allow_inaccurate=self.allow_inaccurate,
                made=self._made(folder),
                before=lambda: tell_price(thefts, store, progress, "--threats evasion goes without"),
                reports=write_reports,
                progress=progress,
            )
        show(audit, audit_text(audit, folder), self.as_json)
        append_ci_summary(audit_summary(audit), os.environ)
        return 0 if audit.verdict == "pass" else 1

    def _made(self, folder: Path) -> Made:
        at = datetime.now(UTC).replace(microsecond=0)
        return Made(at=at, command=self.called, folder=place_in_repository(folder))

    def _recipe(self) -> AuditRecipe:
        described = self.data.images(self.training.seed)
        if self.adapted is None:
            if self.build is not None:
                raise InputError("--build needs the program that it was compiled from; pass --adapted PROGRAM too")
            pair, described, control = self._made_pair(described)
        else:
            pair, described, control = self._given_pair(self.adapted, described)
        attacks = self._attacks() if "evasion" in self.examined else {}
        thefts = self._thefts(described, pair.original) if "theft" in self.examined else {}
        return AuditRecipe(
            pair=pair,
            images=described,
            attacks=attacks,
            main=next(iter(attacks), None),
            thefts=thefts,
            count=self.attacking.images,
            draw=self.training.seed,
            control=control if attacks else None,
            classes=self.attacking.embed_class,
        )

    def _attacks(self) -> dict[str, Attack]:
        options = self.attacking
        names = options.attack or ("default", "diva-2022", "pgd")
        described = {name: preset(name, options.epsilon, options.steps) for name in names}
        return {name: attack.replace(stop=options.stop) for name, attack in described.items()}

    def _thefts(
        self, described: images.ImagesSettings, original: TrainRecipe | GivenOriginal
    ) -> dict[str, TheftSettings]:
        """Describe two thieves who ask the same questions: one takes the answers as they are, one the labels alone."""
        seed, device = self.training.seed, self.training.device
        queries = query_settings(self.stealing, described, seed=seed)
        network = network_name(original)
        kinds: tuple[Literal["soft", "hard"], ...] = ("soft", "hard")
        return {
            labels: TheftSettings(
                queries=queries,
                budget=question_budget(self.stealing, described),
                attack=thief(self.stealing, described, network, labels=labels, seed=seed, device=device),
            )
            for labels in kinds
        }

    def _made_pair(self, described: images.ImagesSettings) -> _Examined:
        recipe = adapt_recipe(described, self.training, self.adapting, self.original, self.trust)
        (runtime,) = chosen_runtimes(self.adapting.target, (self.runtime,) if self.runtime else ())
        building = BuildRecipe.model_validate({"program": recipe, "runtime": runtime})
        wanted = self.control == "yes" or (self.control == "auto" and self.adapting.method == "qat")
        pair = PairSettings(original=recipe.original, program=recipe, build=building)
        return _Examined(pair, recipe.images, control_recipe(recipe) if wanted else None)

    def _given_pair(self, adapted: Path, described: images.ImagesSettings) -> _Examined:
        program_path = adapted / "program.safetensors" if is_folder(adapted) else adapted
        original_path = self.original or program_path.with_name("original.safetensors")
        program = given_program(program_path)
        original = given_original(original_path, trust=self.trust)
        classes = Program.load(program_path).provenance.classes
        described = fitting(zoo.load(original_path, trust=self.trust), described, classes)
        build = shipped_build(adapted, program, self.build, self.runtime, trust=self.trust)
        pair = PairSettings(original=original, program=program, build=build)
        if self.control != "yes":
            return _Examined(pair, described, None)
        settings = TrainSettings(
            epochs=self.adapting.adapt_epochs,
            learning_rate=self.adapting.adapt_learning_rate,
            batch_size=self.training.batch_size,
            device=self.training.device,
            seed=self.training.seed,
        )
        return _Examined(pair, described, FinetuneRecipe(original=original, images=described, settings=settings))
