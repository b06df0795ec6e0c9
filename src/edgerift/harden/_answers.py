"""The strongest defence of a build's answers that a budget allows, as a step that the store keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator
from torch import Tensor

from edgerift.adapt import GivenOriginal
from edgerift.defend import DEFENCES, Defence, tuned, with_strength
from edgerift.deploy import BuildRecipe
from edgerift.extract import open_victim, posteriors
from edgerift.harden._misleading import MISLEADING, MisleadingRecipe
from edgerift.harden._variant import DefenceFields
from edgerift.images import ImagesSettings, open_splits
from edgerift.settings import Settings, is_empty, is_none
from edgerift.steps import Progress, Recipe, read_document, write_whole
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

_CHOSEN: Final = "defences.json"
_ORIGINAL: Final = "original.safetensors"

NetworkRecipe: TypeAlias = Annotated[TrainRecipe | GivenOriginal | MisleadingRecipe, Field(discriminator="type")]
"""The step that makes the network a defence looks at images with."""


class ChosenDefences(Settings):
    """The defences that the budget allows, empty if none; `keeps_labels`: no label can change."""

    defences: tuple[Defence, ...]
    keeps_labels: bool


class TunedAnswersRecipe(Recipe):
    """Find a defence's strongest setting for a build's answers: `defences.json`.

    The mean l1 distance of the defended answers to those of `reference`, on the validation images, stays within
    `budget_l1`, in [0, 2]. `fields` are the defence's other fields, such as a `gamma`; `network` makes the file of the
    network that it looks at images with.
    """

    type: Literal["tuned-answers"] = "tuned-answers"
    version: Literal[1] = 1
    defence: str
    build: BuildRecipe
    reference: BuildRecipe
    images: ImagesSettings
    budget_l1: float = Field(gt=0, le=2)
    fields: DefenceFields = Field(default=(), exclude_if=is_empty)
    network: NetworkRecipe | None = Field(default=None, exclude_if=is_none)

    @model_validator(mode="after")
    def _has_its_fields(self) -> Self:
        # Refused here, not after the trainings.
        if self.network is None:
            with_strength(self.defence, DEFENCES[self.defence].grid[0], **dict(self.fields))
        return self

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search, and write the result into `folder`."""
        reference = validation_answers(self.reference, self.images, store, progress)
        answers = validation_answers(self.build, self.images, store, progress)
        seen = open_splits(self.images).validation.images
        fields: dict[str, Any] = dict(self.fields) | self._network(store, progress)
        found = tuned(self.defence, answers, self.budget_l1, reference=reference, images=seen, **fields)
        chain = () if found is None else (found,)
        kept = all(defence.keeps_argmax_among(answers.shape[1]) for defence in chain)
        chosen = ChosenDefences(defences=chain, keeps_labels=kept)
        write_whole(folder / _CHOSEN, chosen.model_dump_json(indent=2) + "\n")

    def _network(self, store: Store, progress: Progress) -> dict[str, str]:
        field = DEFENCES[self.defence].network_field
        if self.network is None or field is None or field in dict(self.fields):
            return {}
        name = MISLEADING if isinstance(self.network, MisleadingRecipe) else _ORIGINAL
        return {field: str(store.get(self.network, progress) / name)}

    def open(self, store: Store, progress: Progress) -> ChosenDefences:
        """Read the result; run the search if it is missing."""
        return read_document(ChosenDefences, store.get(self, progress) / _CHOSEN)


def validation_answers(build: BuildRecipe, images: ImagesSettings, store: Store, progress: Progress) -> Tensor:
    """Query a build with the validation images: posteriors float32 `[N,K]`."""
    return posteriors(open_victim(build, store, progress), open_splits(images).validation.images)
