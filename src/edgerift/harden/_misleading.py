"""The network that Adaptive Misinformation answers with, as a step that the store keeps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from edgerift import zoo
from edgerift.adapt import GivenOriginal, open_original
from edgerift.defend import misleading_network
from edgerift.images import ImagesSettings, open_splits
from edgerift.steps import Progress, Recipe
from edgerift.train import TrainRecipe, TrainSettings

if TYPE_CHECKING:
    from edgerift.steps import Store

MISLEADING: Final = "misleading.safetensors"


class MisleadingRecipe(Recipe):
    """Train a network of an original's architecture to be wrong about its images: `misleading.safetensors`.

    No outliers are used, as in the code of later papers; that of the defence's authors has some.
    """

    type: Literal["train-misleading"] = "train-misleading"
    version: Literal[1] = 1
    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]
    images: ImagesSettings
    settings: TrainSettings = Field(default_factory=TrainSettings)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Train it, and write it into `folder`."""
        original = self.original
        if isinstance(original, TrainRecipe):
            network = original.architecture.name
        else:
            network = open_original(original, store, progress).architecture.name
        train = open_splits(self.images).train
        found = misleading_network(network, train, settings=self.settings, progress=progress)
        zoo.save(found, folder / MISLEADING)
