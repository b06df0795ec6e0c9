"""What a variant of a comparison is, and which there are: each is registered by the module that describes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from edgerift.defend import DEFENCES
from edgerift.settings import Registry

if TYPE_CHECKING:
    from edgerift.adapt import HardenedRecipe, TrainedDefence


DefenceFields: TypeAlias = tuple[tuple[str, bool | int | float | str | None], ...]
"""Fields of a defence by name, beside its strength: pairs, so that what holds them can be hashed."""


class Look(NamedTuple):
    """How figures show a variant: the colour as `#rrggbb`, and the marker as matplotlib names it."""

    colour: str
    marker: str


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to ship a model: what is trained and how, and what changes its answers.

    `name` is used in options and documents, `title` in tables; without a `look` figures choose one. `base` is the
    `original` itself, its `ptq` build or its `qat` build. The strength of a `training` defence, in the quantized model
    or in the `float` stage before it, is searched for up to `highest` (default: the allowance's own), or is the
    comparison's alpha if it `takes_alpha`. `answers` names an output defence, whose strength is searched for too, with
    its other `fields`; the `network` that it looks at images with is the original, or one that is trained to mislead.
    `in_paper` says whether the second paper compares it.
    """

    name: str
    title: str
    look: Look | None = None
    base: Literal["original", "ptq", "qat"] = "qat"
    training: TrainedDefence | None = None
    highest: float | None = None
    stage: Literal["quantized", "float"] = "quantized"
    takes_alpha: bool = False
    answers: str | None = None
    fields: DefenceFields = ()
    network: Literal["original", "misleading"] | None = None
    in_paper: bool = False

    @property
    def is_defended(self) -> bool:
        """Whether it has a defence."""
        return self.training is not None or self.answers is not None

    @property
    def is_joint(self) -> bool:
        """Whether it has both a training defence and an output defence."""
        return self.training is not None and self.answers is not None

    def behind(self, answers: str, name: str, look: Look | None = None, **changes: Any) -> Variant:
        """Describe the same model behind an output defence; `changes` are further fields."""
        title = f"{self.title} + {DEFENCES[answers].title}"
        told = {"name": name, "title": title, "look": look, "answers": answers, "in_paper": False}
        return replace(self, **{**told, **changes})

    def is_trained_as(self, hardened: HardenedRecipe) -> bool:
        """Return whether a training is this variant's, at any strength."""
        own, other = self.training, hardened.defence
        if own is None or type(own) is not type(other) or self.stage != hardened.stage:
            return False
        return other.with_strength(own.strength) == own


VARIANTS: Final[Registry[Variant]] = Registry("variant", "edgerift.harden.variants")


def variant(described: Variant, *, rank: float = math.inf) -> Variant:
    """Register a variant under its name, ordered by rank, as in tables."""
    return VARIANTS.register(described.name, described, rank=rank)


def variant_of(hardened: HardenedRecipe) -> Variant | None:
    """Find the variant that uses a training, at any strength; None if there is none."""
    return next((one for one in VARIANTS.parts() if one.is_trained_as(hardened)), None)


if TYPE_CHECKING:
    VariantName: TypeAlias = str
else:
    VariantName = Literal[VARIANTS.names()]

#: The variants that the second paper compares, in its order.
PAPER_VARIANTS: Final[tuple[VariantName, ...]] = tuple(name for name, one in VARIANTS.items() if one.in_paper)

#: Their output defences, by name.
PAPER_ANSWERS: Final[tuple[str, ...]] = tuple(
    dict.fromkeys(one.answers for one in VARIANTS.parts() if one.in_paper and one.answers is not None)
)

#: What a comparison is of by default.
DEFAULT_VARIANTS: Final[tuple[VariantName, ...]] = ("ptq", "qat", "divqat", "held")
