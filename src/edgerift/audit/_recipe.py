"""The audit as a step that the store keeps: the pair, and what each threat does to it."""

from __future__ import annotations

import operator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from edgerift.adapt import CompressRecipe, FinetuneRecipe, GivenOriginal
from edgerift.audit._document import Measured
from edgerift.audit._evasion import Searches, evasion_part
from edgerift.audit._fleet import FleetSearches, fleet_searches
from edgerift.audit._measures import data_part
from edgerift.audit._opened import Opened
from edgerift.audit._stages import Stages
from edgerift.audit._surrogate import Knowledge, SurrogateRecipe
from edgerift.audit._tampering import TamperingSettings, tampering_part
from edgerift.audit._theft import TheftSettings, theft_part
from edgerift.deploy import RUNTIMES, BuildRecipe, GivenBuild
from edgerift.errors import InputError
from edgerift.evade import Attack, EvadeRecipe, PairSettings, SelectRecipe, preset
from edgerift.extract import ExtractRecipe
from edgerift.images import ImageSet, ImagesSettings
from edgerift.settings import BatchSize, ClassNumber, Count, Seed, is_none
from edgerift.steps import Progress, Recipe, write_whole
from edgerift.verify import Verification

if TYPE_CHECKING:
    from edgerift.steps import Store

MEASURED: Final = "measured.json"

#: Findings are files that are named after their attack.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class AuditRecipe(Recipe):
    """Attack a pair and examine the result: `measured.json`, which no rule has judged; see :class:`Measured`.

    `attacks` are the attacks on single images by name, `main` the one that the gate judges, and `thefts` the attackers
    by name, and `tampering` says how the build is verified; a threat without any is not examined, and one of them has
    to be. `count` images are attacked, drawn with
    the seed `draw`; all by default. With a `control` the main attack also runs against the original's float-fine-tuned
    copy. `knowledge` has what attackers steer by who lack the original, or both models: the main attack runs for each
    of them. `classes` are those of the embedding; all by default. `others` are the build's file
    run by other sets of kernels: a fleet, in which one may be right and another wrong. `pair_seconds` is how long the
    pair took to make before this step began. A run that was killed resumes after its last finished stage, within a
    search after its last finished part, and within a theft after the clone's last epoch. With `shard` each search is
    cut into steps of at least this many images, which may run at the same time; the result is the same.
    """

    type: Literal["audit"] = "audit"
    version: Literal[7] = 7
    pair: PairSettings
    images: ImagesSettings
    attacks: dict[Name, Attack] = Field(default_factory=dict)
    main: str | None = None
    thefts: dict[Name, TheftSettings] = Field(default_factory=dict)
    count: Count | None = None
    draw: Seed = 0
    control: Annotated[FinetuneRecipe | CompressRecipe | GivenOriginal, Field(discriminator="type")] | None = None
    classes: tuple[ClassNumber, ...] = ()
    others: tuple[Annotated[BuildRecipe | GivenBuild, Field(discriminator="type")], ...] = Field(
        default=(), exclude_if=operator.not_
    )
    tampering: TamperingSettings | None = Field(default=None, exclude_if=is_none)
    knowledge: dict[Knowledge, SurrogateRecipe] = Field(default_factory=dict, exclude_if=operator.not_)
    batch_size: BatchSize | None = Field(default=None, exclude=True)
    shard: Count | None = Field(default=None, exclude=True)
    pair_seconds: float = Field(default=0.0, ge=0, exclude=True)

    @model_validator(mode="after")
    def _check(self) -> AuditRecipe:
        if not self.attacks and not self.thefts and self.tampering is None:
            raise ValueError("there are no attacks, no `thefts` and no `tampering`; give at least one of them")
        if self.main not in (self.attacks or (None,)):
            known = ", ".join(self.attacks) or "(there are none)"
            raise ValueError(f"the main attack '{self.main}' is not among the attacks {known}")
        self._check_others()
        if self.knowledge and self.main is None:
            raise ValueError("`knowledge` is for an attack, and there is none")
        for name in self.knowledge:
            self.knowing(name)  # Not every attack can stop on belief.
        return self

    def _check_others(self) -> None:
        runtimes = [build.runtime for build in (self.pair.build, *self.others)]
        files = {RUNTIMES[name].files_of or name for name in runtimes}
        if len(set(runtimes)) < len(runtimes) or len(files) > 1:
            raise ValueError(f"a fleet is one file run by several sets of kernels; got {', '.join(runtimes)}")
        if self.others and self.main is None:
            raise ValueError("the builds of a fleet are compared by an attack; give one, or leave the others out")

    def knowing(self, name: Knowledge) -> EvadeRecipe:
        """Describe the main attack by an attacker who only knows the build, or its answers."""
        assert self.main is not None
        attack = self.attacks[self.main].replace(stop="believed")
        told = f"{self.main} knowing {'the build' if name == 'build' else 'answers'}"
        return self._search(self.pair, attack, told).replace(surrogate=self.knowledge[name])

    def searching(self, name: str, *, control: bool = False) -> EvadeRecipe:
        """Describe the search of one attack, on the build or on the control in its place."""
        pair = self.pair.replace(control=self.control) if control else self.pair
        return self._search(pair, self.attacks[name], f"{name} on the control" if control else name)

    def hiding(self) -> EvadeRecipe:
        """Describe the search that makes a build with a guard abstain, in the box of the main attack."""
        main = Attack() if self.main is None else self.attacks[self.main]
        attack = preset("default", main.epsilon).replace(goal="abstain", seed=main.seed)
        return self._search(self.pair, attack, "forced abstention")

    def _search(self, pair: PairSettings, attack: Attack, name: str) -> EvadeRecipe:
        return EvadeRecipe(
            pair=pair,
            images=self.images,
            attack=attack,
            count=self.count,
            draw=self.draw,
            name=name,
            batch_size=self.batch_size,
            shard=self.shard,
        )

    @property
    def extractions(self) -> tuple[ExtractRecipe, ...]:
        """What attackers do to the build by queries, each once: extraction attacks, and what surrogates are made of."""
        found = [self.stealing(name) for name in self.thefts]
        found += [made.extract for made in self.knowledge.values()]
        return tuple({recipe.canonical_json(): recipe for recipe in found}.values())

    def stealing(self, name: str) -> ExtractRecipe:
        """Describe what one attacker does to the build."""
        return self.stealing_from(self.pair.build, self.images, self.thefts[name])

    @staticmethod
    def stealing_from(build: BuildRecipe | GivenBuild, images: ImagesSettings, theft: TheftSettings) -> ExtractRecipe:
        """Describe what an attacker does to a build, which is measured on the test images of `images`."""
        return ExtractRecipe(
            victim=build, images=images, queries=theft.queries, budget=theft.budget, attack=theft.attack
        )

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the pair, what it answers, the searches and the extractions."""
        searches = [self.searching(name) for name in self.attacks]
        selections = [SelectRecipe(pair=self.pair, images=self.images)]
        controls = [] if self.control is None else [self.control]
        if self.control is not None and self.main is not None:
            controlled = self.searching(self.main, control=True)
            searches.append(controlled)
            selections.append(controlled.selecting)
        if self.main is not None and self.pair.known_guard(store) is not None:
            searches.append(self.hiding())
        fleet = self.fleet()
        others = () if fleet is None else fleet.needed
        searches += [self.knowing(name) for name in self.knowledge]
        thefts = (self.stealing(name) for name in self.thefts)
        return (*self.pair.opened, *controls, *selections, *searches, *others, *thefts)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Run every stage that is not finished, and write the result into `folder`."""
        stages = Stages(folder, progress)
        if not (folder / MEASURED).is_file():
            opened = Opened(self.pair, self.images, store, progress)
            audit = self._measured(opened, stages)
            write_whole(folder / MEASURED, audit.model_dump_json(indent=2) + "\n")
        stages.remove()

    def _measured(self, opened: Opened, stages: Stages) -> Measured:
        self._require_classes(opened.test)
        stages.timed("pair", lambda: opened.pair, before=self.pair_seconds)
        searches = self._searches(opened)
        evasion = None if searches is None else evasion_part(searches, opened, stages)
        thefts = {name: self.stealing(name) for name in self.thefts}
        theft = theft_part(thefts, opened, stages) if thefts else None
        given = self.tampering
        tampering = (
            None if given is None else stages.kept("tampering", Verification, lambda: tampering_part(given, opened))
        )
        return Measured(
            edgerift=version("edgerift"),
            data=data_part(self.images, opened.test),
            pair=opened.pair_part(),
            evasion=evasion,
            theft=theft,
            tampering=tampering,
            times=stages.times(),
        )

    def _searches(self, opened: Opened) -> Searches | None:
        if self.main is None:
            return None
        attacks = {name: self.searching(name) for name in self.attacks}
        control = None if self.control is None else self.searching(self.main, control=True)
        hiding = None if opened.pair.guard is None else self.hiding()
        knowing = {name: self.knowing(name) for name in self.knowledge}
        return Searches(self.main, attacks, control, self.classes, hiding, self.fleet(), knowing)

    def fleet(self) -> FleetSearches | None:
        """Describe the searches of the build together with others and against them; None without others."""
        return fleet_searches(self.searching(self.main), self.others) if self.main is not None and self.others else None

    def _require_classes(self, test: ImageSet) -> None:
        wrong = [number for number in self.classes if number >= len(test.classes)]
        if wrong:
            raise InputError(
                f"class {wrong[0]} cannot be embedded; the {len(test.classes)} classes of {test.name} "
                f"are 0 to {len(test.classes) - 1}"
            )
