"""A study as its file describes it: a grid of data sets, networks, adaptations, attacks and seeds."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self, final

from pydantic import Field, NonNegativeFloat, field_validator, model_validator

from edgerift.adapt import (
    COMPRESSIONS,
    AdaptationName,
    Allowance,
    Compression,
    CompressionName,
    PtqSettings,
    QatSettings,
)
from edgerift.deploy import RUNTIMES, RuntimeName, Target, runtimes_for
from edgerift.differ import DifferSettings
from edgerift.evade import AttackedSplit
from edgerift.extract import Knockoff
from edgerift.flips import FlipSettings
from edgerift.harden import VariantName
from edgerift.settings import ClassNumber, Count, NotAllowedError, Problem, Settings, TimesOrNone, is_empty, is_none
from edgerift.study._attack_choice import AttackChoice, SurrogatePlan, attack_problems
from edgerift.study._datafree_plan import DataFreePlan
from edgerift.study._fields import (
    Changes,
    DefenceChanges,
    DifferChanges,
    FlipChanges,
    Line,
    Name,
    Network,
    Once,
    Seed,
    Size,
    Source,
    StudyName,
    ThiefChanges,
    TrainingChanges,
    changed,
    compression_problems,
)
from edgerift.train import TrainSettings

#: Fields of a data set that change extractions alone.
_OF_THEFTS: Final = ("queries", "budget", "rows", "students", "alphas", "answers", "thief")


@final
class DataChoice(Settings):
    """A data set: its source unless its name in the study is one, and what it needs otherwise than the others.

    `labels` is that of `images.load`. `queries` is what attackers query, an image source or `collages` of its
    own images, and `budget` how many they ask. `rows`, `students` and `alphas` take the place of the theft's own.
    `answers` gives defences of the answers by name other fields than their own, such as a `gamma`. `train`, `adapt`
    and `thief` change the training of originals, of adapted models and of clones.
    """

    source: Source | None = None
    size: Size | None = None
    labels: Literal["as-is", "renumbered"] | None = Field(default=None, exclude_if=is_none)
    queries: Source | None = None
    budget: Count | None = None
    rows: Annotated[Once[VariantName], Field(min_length=1)] | None = None
    students: Once[Network] | None = None
    alphas: Once[NonNegativeFloat] | None = None
    answers: DefenceChanges = Field(default_factory=dict, exclude_if=is_empty)
    train: TrainingChanges = Field(default_factory=dict)
    adapt: TrainingChanges = Field(default_factory=dict)
    thief: TrainingChanges = Field(default_factory=dict)


@final
class NetworkChoice(Settings):
    """A network of the zoo, or a user's `module:factory`, and how its training differs from the others'.

    `count` images are attacked in place of the plan's own number.
    """

    model: Network
    stem: Literal["small", "imagenet"] = "small"
    pretrained: bool = False
    count: Count | None = Field(default=None, exclude_if=is_none)
    train: TrainingChanges = Field(default_factory=dict)
    adapt: TrainingChanges = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.pretrained and self.stem != "imagenet":
            rest = " is True; pretrained weights need the stem that they were trained with: set stem to imagenet"
            raise NotAllowedError([Problem(("pretrained",), ("pretrained",), rest)])
        return self


@final
class EvasionPlan(Settings):
    """Who is evaded, and how: every attack on every adaptation of every original.

    `count` images of `split` are attacked, of those that both models get right: test images, or those that the
    originals learn from. Searches of more than `shard` images are cut into steps that run at the same time. The
    pictures are of the attack `shown` on the adaptations `pictured`, with images of the classes `classes` (all where
    none is named), `points` of them, for the first seed. `compress` changes what prunes and distils, and `surrogate`
    what steers attackers who lack a model. `flips` and `differ` attack every build besides, by flipped bits and by
    differences without labels, with these changes of their settings.
    """

    adaptations: Once[AdaptationName] = Field(("ptq", "qat", "finetune"), min_length=1)
    target: Target = "mobile"
    runtime: RuntimeName | None = None
    attacks: dict[Name, AttackChoice] = Field(min_length=1)
    count: Count | None = None
    split: AttackedSplit = "test"
    shard: Count | None = None
    shown: str
    pictured: Once[AdaptationName] = ("qat",)
    classes: Once[ClassNumber] = ()
    compress: dict[CompressionName, Changes] = Field(default_factory=dict, exclude_if=operator.not_)
    points: Count | None = Field(default=None, exclude_if=is_none)
    surrogate: SurrogatePlan | None = Field(default=None, exclude_if=is_none)
    flips: FlipChanges | None = Field(default=None, exclude_if=is_none)
    differ: DifferChanges | None = Field(default=None, exclude_if=is_none)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        found = [problem for name, given in self.compress.items() for problem in compression_problems(name, given)]
        found += attack_problems(self.attacks, self.adaptations, self.shown, self.pictured)
        if self.surrogate is None and any(attack.knows != "both" for attack in self.attacks.values()):
            found.append(
                Problem(("surrogate",), ("surrogate",), " is needed where an attacker does not know both models")
            )
        if self.runtime is not None and self.target not in RUNTIMES[self.runtime].targets:
            fitting = " or ".join(runtimes_for(self.target))
            rule = f" is '{self.runtime}'; it does not take target '{self.target}'; choose {fitting}"
            found.append(Problem(("runtime",), ("runtime",), rule))
        if found:
            raise NotAllowedError(found)
        return self


@final
class TheftPlan(Settings):
    """Who is stolen, and how: the rows of a comparison of hardened victims, on each target.

    `rows` are compared on the first target and `other_rows` on the others. `students` steal the rows qat and divqat
    besides the attack's own, and at `alphas` DivQAT is trained and stolen for the curves. `data_free` are the
    data-free attacks, on the first target.
    """

    rows: Once[VariantName] = Field(min_length=1)
    other_rows: Once[VariantName] = Field(("qat", "divqat"), min_length=1)
    targets: Once[Target] = Field(("mobile",), min_length=1)
    allowance: Allowance = Allowance()
    attack: ThiefChanges = Field(default_factory=dict)
    thief: TrainingChanges = Field(default_factory=dict)
    budget: Count = 50_000
    students: Once[Network] = ()
    alphas: Once[NonNegativeFloat] = ()
    data_free: DataFreePlan | None = None

    @property
    def knockoff(self) -> Knockoff:
        """The attack, with the training that all clones share."""
        attack = changed(Knockoff(), self.attack)
        return attack.replace(training=changed(attack.training, self.thief))


@final
class Study(Settings):
    """A grid of experiments: every data set with every original, for every seed.

    `paper` says whose figures stand beside ours and whose claims are judged. A seed draws everything of its cells:
    weights, order, splits, calibration, and with the next seed the attacker. `train` trains originals, `adapt` the
    adapted models, with `calibration_images`, `observe_epochs`, `batch_norm` and `live_epochs`.
    """

    study: StudyName
    title: Line
    paper: Literal["diva", "divqat"] | None = None
    seeds: Once[Seed] = Field((0, 1, 2), min_length=1)
    size: Size = 32
    data: dict[Name, DataChoice] = Field(min_length=1)
    originals: dict[Name, NetworkChoice] = Field(min_length=1)
    train: TrainingChanges = Field(default_factory=dict)
    adapt: TrainingChanges = Field(default_factory=dict)
    calibration_images: Count = 1024
    observe_epochs: TimesOrNone = 2
    batch_norm: Literal["frozen", "alive"] | None = Field(default=None, exclude_if=is_none)
    live_epochs: Count | None = Field(default=None, exclude_if=is_none)
    evasion: EvasionPlan | None = None
    theft: TheftPlan | None = None

    @field_validator("data", mode="before")
    @classmethod
    def _names_alone(cls, given: Any) -> Any:
        if isinstance(given, list | tuple):
            if len({name for name in given if isinstance(name, str)}) < len(given):
                raise ValueError("a list of data sets names each once; what is to be changed of one needs a mapping")
            return {name: {} for name in given}
        if isinstance(given, Mapping):
            return {name: {} if choice is None else choice for name, choice in given.items()}
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.evasion is None and self.theft is None:
            raise ValueError("there is nothing to study; give evasion, theft or both")
        found = []
        if self.theft is not None and self.theft.data_free is not None:
            found += self._unknown(self.theft.data_free)
        if self.evasion is None:
            for name, network in self.originals.items():
                if network.count is not None:
                    place = ("originals", name, "count")
                    found.append(Problem(place, place, " is given; it changes an evasion, and the study has none"))
        for name, data in self.data.items() if self.theft is None else ():
            for field in _OF_THEFTS:
                if getattr(data, field):
                    place = ("data", name, field)
                    found.append(Problem(place, place, " is given; it changes a theft, and the study has none"))
        if found:
            raise NotAllowedError(found)
        return self

    @model_validator(mode="after")
    def _lives(self) -> Self:
        if self.live_epochs is not None and self.batch_norm != "alive":
            raise ValueError(f"live_epochs is {self.live_epochs}, and batch_norm is not alive; set it to alive")
        return self

    def _unknown(self, plan: DataFreePlan) -> list[Problem]:
        place = ("theft", "data_free")
        wrong: list[tuple[str, object, str]] = [
            ("data", name, ", ".join(self.data)) for name in plan.data if name not in self.data
        ]
        wrong += [("seeds", seed, ", ".join(map(str, self.seeds))) for seed in plan.seeds if seed not in self.seeds]
        return [
            Problem((*place, field), (*place, field), f" has {given!r}; it must be of the study's: {known}")
            for field, given, known in wrong
        ]

    def training(self, data: DataChoice, network: NetworkChoice, seed: int) -> TrainSettings:
        """How an original is trained."""
        return changed(TrainSettings(), self.train, data.train, network.train, {"seed": seed})

    def is_robust(self, data: str, original: str) -> bool:
        """Whether an original is trained against an adversary on a data set."""
        return self.training(self.data[data], self.originals[original], 0).adversary is not None

    def adapting(self, data: DataChoice, network: NetworkChoice, seed: int) -> QatSettings:
        """How an original is adapted."""
        return QatSettings(
            calibration=PtqSettings(calibration_images=self.calibration_images, seed=seed),
            train=changed(QatSettings().train, self.adapt, data.adapt, network.adapt, {"seed": seed}),
            observe_epochs=self.observe_epochs,
            batch_norm=self.batch_norm or "frozen",
            live_epochs=self.live_epochs,
        )

    def compressing(self, name: str, data: DataChoice, network: NetworkChoice, seed: int) -> Compression:
        """How an original is pruned or distilled."""
        assert self.evasion is not None
        changes = dict(self.evasion.compress.get(name, {}))
        given: Any = changes.pop("train", {})
        kind = COMPRESSIONS[name]
        plain = kind.model_validate({"type": name, **changes})
        own = (self.train, data.train, network.train) if kind.starts_anew else (self.adapt, data.adapt, network.adapt)
        # A compression has a loss of its own, which an adversary of the original's training does not fit.
        return plain.replace(train=changed(plain.train, *own, {"adversary": None}, given, {"seed": seed}))

    def stealing(self, data: DataChoice, seed: int) -> Knockoff:
        """How a victim is stolen; the attacker has the next seed, so that the clone starts from weights of its own."""
        assert self.theft is not None
        attack = self.theft.knockoff
        return attack.replace(seed=seed + 1, training=changed(attack.training, data.thief, {"seed": seed + 1}))

    def flipping(self, seed: int) -> FlipSettings | None:
        """How bits of a build are flipped; None where they are not."""
        given = None if self.evasion is None else self.evasion.flips
        return None if given is None else changed(FlipSettings(), given, {"seed": seed})

    def differing(self, seed: int) -> DifferSettings | None:
        """How differences of a build are searched for; None where they are not."""
        given = None if self.evasion is None else self.evasion.differ
        return None if given is None else changed(DifferSettings(), given, {"seed": seed})

    def imitating(self, data: DataChoice, seed: int) -> Knockoff:
        """How a surrogate is made; its attacker has the next seed, too."""
        assert self.evasion is not None
        assert self.evasion.surrogate is not None
        plan = self.evasion.surrogate
        attack = changed(Knockoff(), plan.attack)
        own = changed(attack.training, plan.training, data.thief, {"seed": seed + 1})
        return attack.replace(seed=seed + 1, training=own)
