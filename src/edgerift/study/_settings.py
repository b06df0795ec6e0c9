"""A study as its file describes it: a grid of data sets, networks, adaptations, attacks and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, TypeVar, final

from pydantic import AfterValidator, Field, JsonValue, NonNegativeInt, PositiveInt, field_validator, model_validator

from edgerift import zoo
from edgerift.adapt import Allowance, PtqSettings, QatSettings
from edgerift.deploy import RUNTIMES, Target
from edgerift.errors import EdgeriftError, unknown_name
from edgerift.evade import Attack, preset
from edgerift.extract import Knockoff
from edgerift.harden import RowName
from edgerift.recipes import Settings
from edgerift.train import TrainSettings

Adaptation: TypeAlias = Literal["ptq", "qat", "finetune"]
Runtime: TypeAlias = Literal["executorch", "onnxruntime", "inductor"]

#: The runtime that a target's builds run on unless the study names one.
DEFAULT_RUNTIME: Final[Mapping[str, Runtime]] = {"mobile": "executorch", "server": "onnxruntime"}

_Values = TypeVar("_Values", bound=Settings)

#: Some fields of settings: what is not given stays as it is elsewhere.
Changes: TypeAlias = dict[str, JsonValue]


def changed(settings: _Values, *changes: Changes) -> _Values:
    """Lay changes over settings, the later ones over the earlier; raises `RecipeError` for one that is not allowed."""
    values = settings.model_dump() | {key: value for change in changes for key, value in change.items()}
    return type(settings).model_validate(values)


def _allowed(make: Callable[[], object]) -> None:
    """Make something, and word what is not allowed of it as pydantic expects it."""
    try:
        make()
    except EdgeriftError as error:
        raise ValueError(str(error)) from None


def _known_network(name: str) -> str:
    """Check a name of the zoo; a user's own `module:factory` is imported when it is needed."""
    if ":" not in name and name not in zoo.names():
        raise ValueError(unknown_name("model", name, zoo.names()))
    return name


def _training_changes(given: Changes) -> Changes:
    _allowed(lambda: changed(TrainSettings(), given))
    return given


def _thief_changes(given: Changes) -> Changes:
    _allowed(lambda: changed(Knockoff(), given))
    return given


TrainingChanges: TypeAlias = Annotated[Changes, AfterValidator(_training_changes)]
ThiefChanges: TypeAlias = Annotated[Changes, AfterValidator(_thief_changes)]


@final
class DataChoice(Settings):
    """A data set: its source unless its name in the study is one, and what it needs otherwise than the others.

    `queries` is what thieves of it ask about, an image source or `collages` of its own images, and `budget` how many
    they ask. `rows`, `students` and `alphas` take the place of the theft's own. `train`, `adapt` and `thief` change the
    training of originals, of adapted models and of clones.
    """

    source: str | None = None
    size: PositiveInt | None = None
    queries: str | None = None
    budget: PositiveInt | None = None
    rows: tuple[RowName, ...] | None = None
    students: tuple[str, ...] | None = None
    alphas: tuple[float, ...] | None = None
    train: TrainingChanges = Field(default_factory=dict)
    adapt: TrainingChanges = Field(default_factory=dict)
    thief: TrainingChanges = Field(default_factory=dict)


@final
class NetworkChoice(Settings):
    """A network of the zoo, or a user's `module:factory`, and how its training differs from the others'."""

    model: str
    stem: Literal["small", "imagenet"] = "small"
    pretrained: bool = False
    train: TrainingChanges = Field(default_factory=dict)
    adapt: TrainingChanges = Field(default_factory=dict)

    @field_validator("model")
    @classmethod
    def _exists(cls, model: str) -> str:
        return _known_network(model)


@final
class AttackChoice(Settings):
    """A named attack, and what is changed of it; `title` is its name in tables."""

    preset: str
    title: str | None = None
    epsilon: Annotated[int, Field(ge=0, le=255)] = 8
    steps: NonNegativeInt = 20
    change: Changes = Field(default_factory=dict)

    @property
    def attack(self) -> Attack:
        """The attack itself."""
        return changed(preset(self.preset, self.epsilon, self.steps), self.change)

    @model_validator(mode="after")
    def _exists(self) -> Self:
        _allowed(lambda: self.attack)
        return self


@final
class EvasionPlan(Settings):
    """Who is evaded, and how: every attack on every adaptation of every original.

    `count` images are attacked of those that both models get right; searches of more than `shard` images are cut into
    steps that run at the same time. The pictures are of the attack `shown` on the adaptations `pictured`, with images
    of the classes `classes` (all where none is named), for the first seed.
    """

    adaptations: tuple[Adaptation, ...] = ("ptq", "qat", "finetune")
    target: Target = "mobile"
    runtime: Runtime | None = None
    attacks: dict[str, AttackChoice] = Field(min_length=1)
    count: PositiveInt | None = None
    shard: PositiveInt | None = None
    shown: str
    pictured: tuple[Adaptation, ...] = ("qat",)
    classes: tuple[NonNegativeInt, ...] = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.shown not in self.attacks:
            raise ValueError(f"shown is '{self.shown}'; it must be one of the attacks: {', '.join(self.attacks)}")
        require_runtime(self.target, self.runtime)
        return self


@final
class TheftPlan(Settings):
    """Who is stolen, and how: the rows of a comparison of hardened victims, on each target.

    `rows` are compared on the first target and `other_rows` on the others. `students` steal the rows qat and divqat
    besides the attack's own, and at `alphas` DivQAT is trained and stolen for the curves.
    """

    rows: tuple[RowName, ...]
    other_rows: tuple[RowName, ...] = ("qat", "divqat")
    targets: tuple[Target, ...] = ("mobile",)
    allowance: Allowance = Allowance()
    attack: ThiefChanges = Field(default_factory=dict)
    thief: TrainingChanges = Field(default_factory=dict)
    budget: PositiveInt = 50_000
    students: tuple[str, ...] = ()
    alphas: tuple[float, ...] = ()

    @property
    def knockoff(self) -> Knockoff:
        """The attack, with the training that all clones share."""
        base = Knockoff()
        return changed(base, self.attack, {"training": changed(base.training, self.thief).model_dump()})

    @field_validator("students")
    @classmethod
    def _exist(cls, students: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_known_network, students))


@final
class Study(Settings):
    """A grid of experiments: every data set with every original, for every seed.

    `paper` says whose figures stand beside ours and whose claims are judged. A seed draws everything of its cells:
    weights, order, splits, calibration, and with the next seed the thief. `train` trains originals, `adapt` the
    adapted models, with `calibration_images` and `observe_epochs`.
    """

    study: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    paper: Literal["diva", "divqat"] | None = None
    seeds: tuple[NonNegativeInt, ...] = Field((0, 1, 2), min_length=1)
    size: PositiveInt = 32
    data: dict[str, DataChoice] = Field(min_length=1)
    originals: dict[str, NetworkChoice] = Field(min_length=1)
    train: TrainingChanges = Field(default_factory=dict)
    adapt: TrainingChanges = Field(default_factory=dict)
    calibration_images: PositiveInt = 1024
    observe_epochs: NonNegativeInt = 2
    evasion: EvasionPlan | None = None
    theft: TheftPlan | None = None

    @field_validator("data", mode="before")
    @classmethod
    def _names_alone(cls, given: Any) -> Any:
        if isinstance(given, list | tuple):
            return {name: {} for name in given}
        return {name: {} if choice is None else choice for name, choice in given.items()} if given else given

    @field_validator("seeds")
    @classmethod
    def _differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed stands there twice; give each once")
        return seeds

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.evasion is None and self.theft is None:
            raise ValueError("there is nothing to study; give evasion, theft or both")
        return self

    def training(self, data: DataChoice, network: NetworkChoice, seed: int) -> TrainSettings:
        """How an original is trained."""
        return changed(TrainSettings(), self.train, data.train, network.train, {"seed": seed})

    def adapting(self, data: DataChoice, network: NetworkChoice, seed: int) -> QatSettings:
        """How an original is adapted."""
        return QatSettings(
            calibration=PtqSettings(calibration_images=self.calibration_images, seed=seed),
            train=changed(QatSettings().train, self.adapt, data.adapt, network.adapt, {"seed": seed}),
            observe_epochs=self.observe_epochs,
        )

    def stealing(self, data: DataChoice, seed: int) -> Knockoff:
        """How a victim is stolen; the thief has the next seed, so that his clone starts from weights of its own."""
        assert self.theft is not None
        attack = self.theft.knockoff
        return attack.replace(seed=seed + 1, training=changed(attack.training, data.thief, {"seed": seed + 1}))


def require_runtime(target: Target, runtime: Runtime | None) -> None:
    """Raise `ValueError` for a runtime that does not take a target."""
    if runtime is not None and target not in RUNTIMES[runtime].targets:
        fitting = [name for name, entry in RUNTIMES.items() if target in entry.targets]
        raise ValueError(f"runtime '{runtime}' does not take target '{target}'; choose {' or '.join(fitting)}")
