"""Searches as steps that the store keeps: which images can be evaded, and one attack on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt
from safetensors.torch import load_file, save

from edgerift import zoo
from edgerift.adapt import AdaptRecipe, FinetuneRecipe, GivenOriginal, open_original
from edgerift.deploy import BuildRecipe, GivenBuild, GivenProgram, Program, open_build
from edgerift.errors import InputError
from edgerift.evade._attack import Attack
from edgerift.evade._control import float_pair
from edgerift.evade._evasion import Evasion, joined
from edgerift.evade._pair import Pair, Steering
from edgerift.evade._search import Selection, eligible, search_selected, select
from edgerift.images import ImagesSettings, open_splits
from edgerift.recipes import Progress, Recipe, Settings
from edgerift.store import write_whole
from edgerift.train import TrainRecipe

if TYPE_CHECKING:
    from edgerift.store import Store

EVASION: Final = "evasion.safetensors"
SELECTION: Final = "selection.safetensors"

#: A killed search goes on after the last whole part of so many images.
_PART: Final = 128


class PairSettings(Settings):
    """Where a pair comes from; `control` puts the original's float-fine-tuned copy in the build's place."""

    original: Annotated[TrainRecipe | GivenOriginal, Field(discriminator="type")]
    program: Annotated[AdaptRecipe | GivenProgram, Field(discriminator="type")]
    build: Annotated[BuildRecipe | GivenBuild, Field(discriminator="type")]
    control: FinetuneRecipe | None = None

    def open(self, store: Store, progress: Progress) -> tuple[Pair, Steering]:
        """Open the pair and what steers a white-box attack on it, made when missing."""
        original = open_original(self.original, store, progress)
        if self.control is not None:
            tuned = store.get(self.control, progress) / "original.safetensors"
            trust = isinstance(self.original, TrainRecipe) or self.original.trust
            return float_pair(original, zoo.load(tuned, trust=trust))
        program = Program.load(store.get(self.program, progress) / "program.safetensors")
        artefact = store.get(self.build, progress) / self.build.artefact
        trust = isinstance(self.build, BuildRecipe) or self.build.trust
        pair = Pair(original, program, open_build(artefact, self.build.runtime, trust=trust))
        return pair, pair.white_box()


class SelectRecipe(Recipe):
    """Ask both models about every test image: `selection.safetensors` with both models' logits and who is right."""

    type: Literal["select"] = "select"
    version: Literal[1] = 1
    pair: PairSettings
    images: ImagesSettings

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Ask, and write the answers into `folder`."""
        pair, _ = self.pair.open(store, progress)
        found = select(pair, open_splits(self.images).test, eligible_only=False)
        write_whole(folder / SELECTION, save({"original": found.original, "build": found.build}))

    def open(self, store: Store, progress: Progress) -> tuple[torch.Tensor, torch.Tensor]:
        """Read both models' logits of the whole test set `[N,K]`, asked for when missing."""
        answers = load_file(store.get(self, progress) / SELECTION)
        return answers["original"], answers["build"]


class EvadeRecipe(Recipe):
    """Attack `count` of the test images that both models get right, or all: `evasion.safetensors`.

    `draw` seeds the choice of the images. A run that was killed goes on after its last finished part.
    """

    type: Literal["evade"] = "evade"
    version: Literal[1] = 1
    pair: PairSettings
    images: ImagesSettings
    attack: Attack
    count: PositiveInt | None = None
    draw: NonNegativeInt = 0
    name: str = Field(default="search", exclude=True)
    batch_size: PositiveInt = Field(default=64, exclude=True)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search, or go on searching, and write the result into `folder`."""
        if not (folder / EVASION).is_file():
            self._parts(folder, store, progress)
        for path in folder.glob("part-*"):
            path.unlink()

    def _parts(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search part by part, leaving out the parts that are there, and join them."""
        asked = SelectRecipe(pair=self.pair, images=self.images).open(store, progress)
        pair, steering = self.pair.open(store, progress)
        test = open_splits(self.images).test
        chosen = drawn(eligible(*asked, test.labels), self.count, self.draw)
        if len(chosen.index) == 0:
            raise InputError(
                f"none of the {len(test)} test images is labelled correctly by both models; nothing to attack"
            )
        parts = []
        for number, rows in enumerate(torch.arange(len(chosen.index)).split(_PART)):
            path = folder / f"part-{number:05d}.safetensors"
            if not path.is_file():
                part = Selection(chosen.index[rows], chosen.original[rows], chosen.build[rows], chosen.dropped)
                search_selected(
                    pair,
                    test,
                    part,
                    self.attack,
                    steering=steering,
                    batch_size=self.batch_size,
                    progress=_shifted(progress, self.name, int(rows[0]), len(chosen.index)),
                ).save(path)
            parts.append(path)
        joined([Evasion.load(path) for path in parts]).save(folder / EVASION)

    def open(self, store: Store, progress: Progress) -> Evasion:
        """Read the result, searched for when missing."""
        return Evasion.load(store.get(self, progress) / EVASION)


def drawn(chosen: Selection, count: int | None, seed: int) -> Selection:
    """Draw `count` images of a selection, in their order; all of them when there are no more."""
    if count is None or count >= len(chosen.index):
        return chosen
    rows = torch.randperm(len(chosen.index), generator=torch.Generator().manual_seed(seed))[:count].sort().values
    return Selection(chosen.index[rows], chosen.original[rows], chosen.build[rows], chosen.dropped)


def _shifted(progress: Progress, name: str, start: int, whole: int) -> Progress:
    def told(task: str, done: int, total: int, note: str = "") -> None:
        progress(name, start + done, whole, note)

    return told
