"""Which victims are compared, and how each is made: its program and what changes its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple, TypeAlias, final, get_args

from pydantic import Field

from edgerift.adapt import (
    AdaptRecipe,
    Allowance,
    Divqat,
    GivenOriginal,
    HardenedRecipe,
    Mislead,
    QatSettings,
    Smoothing,
    TrainedDefence,
    TunedRecipe,
)
from edgerift.defend import Defence
from edgerift.deploy import BuildRecipe, RuntimeName, Target
from edgerift.harden._answers import TunedAnswers
from edgerift.images import ImagesSettings
from edgerift.settings import Settings
from edgerift.steps import Progress
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

RowName: TypeAlias = Literal[
    "large",
    "ptq",
    "qat",
    "rs",
    "dcp",
    "divqat",
    "divqat+rs",
    "divqat+dcp",
    "held",
    "mislead",
    "nasty",
    "float",
    "smoothing",
    "noise",
]

#: What the paper compares, in its order.
PAPER_ROWS: Final[tuple[RowName, ...]] = ("large", "ptq", "qat", "rs", "dcp", "divqat", "divqat+rs", "divqat+dcp")

#: How a table names them.
TITLES: Final[dict[RowName, str]] = {
    "large": "Large (the original, float)",
    "ptq": "PTQ",
    "qat": "QAT",
    "rs": "QAT + Reverse Sigmoid",
    "dcp": "QAT + Deception",
    "divqat": "DivQAT",
    "divqat+rs": "DivQAT + Reverse Sigmoid",
    "divqat+dcp": "DivQAT + Deception",
    "held": "DivQAT held by a hinge (Jensen-Shannon, gated)",
    "mislead": "Misleading targets (ours)",
    "nasty": "Nasty Teacher's loss (temperature 4)",
    "float": "DivQAT's loss in float, then PTQ",
    "smoothing": "QAT with label smoothing",
    "noise": "QAT + Gaussian noise",
}

#: All of them, in the order of a table.
ROWS: Final[tuple[RowName, ...]] = get_args(RowName)

#: What changes the answers, by the last word of a row's name.
_POST: Final = {"rs": "reverse-sigmoid", "dcp": "deception", "noise": "gaussian-noise"}

#: How much of the whole budget a joint defence leaves to the training.
_JOINT_SHARE: Final = 0.5


class _Trained(NamedTuple):
    """A training-time defence, and the highest strength to try where the allowance's is not meant for it."""

    defence: TrainedDefence
    highest: float | None = None


#: Divergences are pushed until they cost what is allowed; distances and shares have an end of their own.
_TRAINED: Final = {
    "divqat": _Trained(Divqat()),
    "held": _Trained(Divqat(alpha=20.0, direction="jensen-shannon", gate=0.2, hinge=0.3), 1.2),
    "mislead": _Trained(Mislead(), 1.2),
    "nasty": _Trained(Divqat(temperature=4.0)),
    "float": _Trained(Divqat()),
    "smoothing": _Trained(Smoothing(), 0.9),
}


@final
class Victims(Settings):
    """What all rows of a comparison share: the original, its images, and what a defence may cost."""

    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]
    images: ImagesSettings
    target: Target
    runtime: RuntimeName
    settings: QatSettings
    allowance: Allowance
    alpha: float | None = None

    def adapted(self, method: Literal["ptq", "qat"], seed_shift: int = 0) -> AdaptRecipe:
        """Describe the undefended program, or one of another training seed."""
        train = self.settings.train.replace(seed=self.settings.train.seed + seed_shift)
        return AdaptRecipe(
            original=self.original,
            images=self.images,
            method=method,
            target=self.target,
            settings=self.settings.replace(train=train),
        )

    def hardened(
        self, defence: TrainedDefence, *, stage: Literal["quantized", "float"] = "quantized"
    ) -> HardenedRecipe:
        """Describe a training with a defence."""
        return HardenedRecipe(
            original=self.original,
            images=self.images,
            defence=defence,
            stage=stage,
            target=self.target,
            settings=self.settings,
        )

    def tuned(self, row: RowName) -> TunedRecipe | None:
        """Describe the search for a row's training-time strength; None for a row that needs none."""
        if row.startswith("divqat") and self.alpha is not None:
            return None
        trained = _TRAINED.get(row.split("+")[0])
        if trained is None:
            return None
        hardened = self.hardened(trained.defence, stage="float" if row == "float" else "quantized")
        share = _JOINT_SHARE if "+" in row else 1.0
        highest = self.allowance.high if trained.highest is None else trained.highest
        return TunedRecipe(
            hardened=hardened, allowance=self.allowance.replace(l1=share * self.allowance.l1, high=highest)
        )

    def build(self, program: AdaptRecipe | HardenedRecipe | TunedRecipe) -> BuildRecipe:
        """Describe the build of a program."""
        return BuildRecipe(program=program, runtime=self.runtime)

    def victim(self, row: RowName) -> TrainRecipe | GivenOriginal | BuildRecipe:
        """Describe what stands behind a row's answers: a build, or the original itself."""
        if row == "large":
            return self.original
        search = self.tuned(row)
        if search is not None:
            return self.build(search)
        if row.startswith("divqat"):
            assert self.alpha is not None
            return self.build(self.hardened(Divqat(alpha=self.alpha)))
        return self.build(self.adapted("ptq" if row == "ptq" else "qat"))

    def choosing(self, row: RowName) -> tuple[TunedRecipe | TunedAnswers, ...]:
        """Describe the steps that choose a row's strengths: that of its training, then that of what comes after."""
        search, post = self.tuned(row), _POST.get(row.rsplit("+", 1)[-1])
        steps: tuple[TunedRecipe | TunedAnswers, ...] = () if search is None else (search,)
        if post is None:
            return steps
        build = self.victim(row)
        assert isinstance(build, BuildRecipe)
        reference = self.build(self.adapted("qat"))
        return (
            *steps,
            TunedAnswers(
                defence=post, build=build, reference=reference, images=self.images, budget_l1=self.allowance.l1
            ),
        )


class Row(Settings):
    """One victim, ready to be stolen; `victim` is the original where it is not a build.

    `keeps_labels` says that its defences of the answers are certain to leave every label as it is.
    """

    name: RowName
    title: str
    victim: TrainRecipe | GivenOriginal | BuildRecipe
    defences: tuple[Defence, ...] = ()
    strength: float | None = None
    keeps_labels: bool = True


def make_row(name: RowName, victims: Victims, store: Store, progress: Progress) -> Row:
    """Make a row: search for its training-time strength, then for that of the defence of its answers.

    A row of both has half of the l1 budget for the training; the defence of the answers then takes what is left of the
    whole, measured to the plain quantization-aware build on the validation images.
    """
    row = Row(name=name, title=TITLES[name], victim=victims.victim(name), strength=_given_strength(name, victims))
    for step in victims.choosing(name):
        if isinstance(step, TunedRecipe):
            row = row.replace(strength=step.search(store, progress).chosen)
        else:
            found = step.open(store, progress)
            row = row.replace(defences=found.defences, keeps_labels=found.keeps_labels)
    return row


def _given_strength(name: RowName, victims: Victims) -> float | None:
    return victims.alpha if name.startswith("divqat") else None
