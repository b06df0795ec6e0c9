"""Training as a step that the store keeps."""

from __future__ import annotations

import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from edgerift import zoo
from edgerift.errors import ModelError
from edgerift.images import ImagesSettings, open_splits, size_text
from edgerift.settings import Seed
from edgerift.steps import Progress, Recipe, write_whole
from edgerift.train._loop import run
from edgerift.train._plot import plot_history
from edgerift.train._settings import TrainSettings

if TYPE_CHECKING:
    from edgerift.steps import Store

ORIGINAL = "original.safetensors"
CHECKPOINT = "checkpoint.pt"


class TrainRecipe(Recipe):
    """Train an original from images: `original.safetensors`, `history.json` and `history.png`.

    `init_seed` seeds the initial weights, `settings.seed` shuffling and augmentation. The location of the images is not
    part of it: it is the folder in the environment variable `EDGERIFT_DATA`. A run that was killed resumes after its
    last epoch. `own_factory` follows from the architecture: a factory of your own may answer probabilities, which are
    read as logits, and its results are named differently for that reason.
    """

    type: Literal["train"] = "train"
    version: Literal[1] = 1
    images: ImagesSettings = ImagesSettings(size=32)
    architecture: zoo.Architecture
    settings: TrainSettings = Field(default_factory=TrainSettings)
    init_seed: Seed = 0
    own_factory: bool = Field(default=False, exclude_if=operator.not_)

    @model_validator(mode="before")
    @classmethod
    def _tell_own_factories(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        described = fields.get("architecture")
        name = described.get("name") if isinstance(described, dict) else getattr(described, "name", None)
        return {**fields, "own_factory": isinstance(name, str) and zoo.is_users_own(name)}

    @model_validator(mode="after")
    def _check_size(self) -> TrainRecipe:
        if self.images.size not in (None, self.architecture.size):
            raise ValueError(
                f"the images are {size_text(self.images.size)} pixels and '{self.architecture.name}' is made for "
                f"{size_text(self.architecture.size)}; give both the same size"
            )
        return self

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Train, or resume, and write the original and its history into `folder`.

        Raises `DataError` for images that cannot be opened, `ModelError` when the architecture does not fit
        them or the training diverges.
        """
        splits = open_splits(self.images)
        made_for = size_text(self.architecture.size)
        if splits.train.shape.size != self.architecture.size:
            raise ModelError(
                f"'{self.images.source}' has images of {size_text(splits.train.shape.size)} pixels, "
                f"'{self.architecture.name}' is made for {made_for}; set the size of the images to {made_for}"
            )
        if splits.train.shape.channels > self.architecture.channels:
            raise ModelError(
                f"'{self.images.source}' has images in colour, '{self.architecture.name}' is made for greyscale "
                "ones; leave out channels=1"
            )
        model = zoo.from_architecture(self.architecture, seed=self.init_seed)
        checkpoint = folder / CHECKPOINT
        trained = run(model, splits.train, splits.validation, self.settings, checkpoint=checkpoint, progress=progress)
        zoo.save(model, folder / ORIGINAL)
        write_whole(folder / "history.json", trained.history.as_json())
        plot_history(trained.history, folder / "history.png")
        checkpoint.unlink(missing_ok=True)
