"""Searches as steps that the store keeps: which images can be evaded, and one attack on them."""

from __future__ import annotations

import operator
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from safetensors import safe_open
from safetensors.torch import load_file, save

from edgerift.errors import InputError
from edgerift.evade._attack import Attack
from edgerift.evade._evasion import Evasion, joined
from edgerift.evade._pair_settings import PairSettings
from edgerift.evade._search import search_selected, select
from edgerift.evade._selection import AttackedSplit, Selection, attackable, eligible
from edgerift.evade._surrogates import surrogate_steering
from edgerift.images import ImagesSettings
from edgerift.settings import BatchSize, Count, Seed, is_none
from edgerift.steps import AnyRecipe, Progress, Recipe, silent, stored_recipes, write_whole
from edgerift.train import choose_device, exact_float32, repeatable

if TYPE_CHECKING:
    from edgerift.steps import Store

EVASION: Final = "evasion.safetensors"
SELECTION: Final = "selection.safetensors"

#: A killed search resumes after the last whole part of this many images.
_PART: Final = 128
_ELIGIBLE: Final = "eligible"


class SelectRecipe(Recipe):
    """Ask both models about every image of a split: `selection.safetensors` with both models' logits.

    The file's metadata tell how many images both label correctly.
    """

    type: Literal["select"] = "select"
    version: Literal[2] = 2
    pair: PairSettings
    images: ImagesSettings
    split: AttackedSplit = "test"

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List what the pair is made of."""
        return self.pair.opened

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Ask, and write the answers into `folder`."""
        victim, _ = self.pair.victim(store, progress)
        asked = attackable(self.images, self.split)
        found = select(victim, asked, eligible_only=False)
        right = len(eligible(found.original, found.build, asked.labels).index)
        answers = {"original": found.original, "build": found.build}
        write_whole(folder / SELECTION, save(answers, metadata={_ELIGIBLE: str(right)}))

    def open(self, store: Store, progress: Progress) -> tuple[torch.Tensor, torch.Tensor]:
        """Read both models' logits of the whole split `[N,K]`, asked for when missing."""
        answers = load_file(store.get(self, progress) / SELECTION)
        return answers["original"], answers["build"]

    def eligible(self, store: Store, progress: Progress) -> int:
        """Read how many images both models label correctly, asked for when missing."""
        with safe_open(store.get(self, progress) / SELECTION, "pt") as file:
            return int(file.metadata()[_ELIGIBLE])


class EvadeRecipe(Recipe):
    """Attack `count` of the images of a split that both models get right, or all: `evasion.safetensors`.

    `split` is the test images, or the training images. `draw` seeds the choice; both models of each pair in `also` have
    to get them right, too. A run that was killed resumes after its last finished part. With `shard`, parts of at least
    this many images are steps of their own, which may run at the same time; the result is the same. Gradients are taken
    on `device`, a GPU where there is one; the build and the original judge where they always do. `surrogate` is a step
    whose result steers in place of the true models; see :func:`surrogate_steering`.
    """

    type: Literal["evade"] = "evade"
    version: Literal[3] = 3
    pair: PairSettings
    images: ImagesSettings
    attack: Attack
    count: Count | None = None
    draw: Seed = 0
    split: AttackedSplit = "test"
    also: tuple[PairSettings, ...] = Field(default=(), exclude_if=operator.not_)
    surrogate: AnyRecipe | None = Field(default=None, exclude_if=is_none)
    name: str = Field(default="search", exclude=True)
    batch_size: BatchSize | None = Field(default=None, exclude=True)
    shard: Count | None = Field(default=None, exclude=True)
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", exclude=True)

    @model_validator(mode="after")
    def _asks_no_judge(self) -> Self:
        if self.surrogate is not None and self.attack.stop != "believed":
            raise ValueError(
                f"an attack with surrogates has no judge to stop by, and stop is '{self.attack.stop}'; set 'believed'"
            )
        return self

    @property
    def selecting(self) -> SelectRecipe:
        """The step that tells which images can be evaded."""
        return self._selecting(self.pair)

    @property
    def selections(self) -> tuple[SelectRecipe, ...]:
        """The steps that tell which images are attacked."""
        return (self.selecting, *map(self._selecting, self.also))

    def _selecting(self, pair: PairSettings) -> SelectRecipe:
        return SelectRecipe(pair=pair, images=self.images, split=self.split)

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the pair and what it answers, and the shards as soon as it is known how many there are."""
        is_known = all(store.has(selection) for selection in self.selections)
        shards = self._shards(store, silent) if self.shard is not None and is_known else ()
        return (*self.pair.opened, *self.selections, *self.surrogates, *shards)

    @property
    def surrogates(self) -> tuple[Recipe, ...]:
        """The step that makes the surrogates, where there are any."""
        return () if self.surrogate is None else (self.surrogate,)

    def asked(self, store: Store) -> tuple[Recipe, ...]:
        """List the shards in the store, however many images they were cut to."""
        own = self.canonical_json()
        return tuple(step for step in stored_recipes(store, EvadeShard, own) if step.evade.canonical_json() == own)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search, or go on searching, and write the result into `folder`."""
        if not (folder / EVASION).is_file():
            shards = self._shards(store, progress)
            whole = EvadeShard(evade=self, parts=self._parts(store, progress))
            paths = [store.get(shard, progress) / EVASION for shard in shards]
            joined([Evasion.load(path) for path in paths or whole.searched(folder, store, progress)]).save(
                folder / EVASION
            )
        for path in folder.glob("part-*"):
            path.unlink()

    def open(self, store: Store, progress: Progress) -> Evasion:
        """Read the result, searched for when missing."""
        return Evasion.load(store.get(self, progress) / EVASION)

    def chosen(self, store: Store, progress: Progress) -> Selection:
        """Choose the images to attack."""
        labels = attackable(self.images, self.split).labels
        first, *others = (eligible(*one.open(store, progress), labels) for one in self.selections)
        for other in others:
            rows = torch.isin(first.index, other.index)
            first = first.rows(rows)
        return drawn(first, self.count, self.draw)

    def _parts(self, store: Store, progress: Progress) -> int:
        """Count the parts of the images to attack; raises `InputError` when there are none."""
        # The number alone stands in the file's metadata, which is cheaper to read.
        right = len(self.chosen(store, progress).index) if self.also else self.selecting.eligible(store, progress)
        if right == 0:
            count, models = len(attackable(self.images, self.split)), "all" if self.also else "both"
            raise InputError(
                f"none of the {count} {self.split} images is labelled correctly by {models} models; nothing to attack"
            )
        return ceil((right if self.count is None else min(self.count, right)) / _PART)

    def _shards(self, store: Store, progress: Progress) -> tuple[EvadeShard, ...]:
        """Cut the images into shards of whole parts; none where one would be all."""
        if self.shard is None:
            return ()
        parts, size = self._parts(store, progress), ceil(self.shard / _PART)
        if size >= parts:
            return ()
        return tuple(
            EvadeShard(evade=self, first=first, parts=min(size, parts - first)) for first in range(0, parts, size)
        )


class EvadeShard(Recipe):
    """Attack some of a search's images, `parts` parts of 128 from the part `first` on: `evasion.safetensors`."""

    type: Literal["evade-shard"] = "evade-shard"
    version: Literal[3] = 3
    evade: EvadeRecipe
    first: NonNegativeInt = 0
    parts: PositiveInt

    def needs(self, store: Store) -> tuple[Recipe, ...]:
        """List the pair and what it answers: the search itself needs this shard, not the other way round."""
        return (*self.evade.pair.opened, *self.evade.selections, *self.evade.surrogates)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Search, or go on searching, and write the shard into `folder`."""
        if not (folder / EVASION).is_file():
            joined([Evasion.load(path) for path in self.searched(folder, store, progress)]).save(folder / EVASION)
        for path in folder.glob("part-*"):
            path.unlink()

    def searched(self, folder: Path, store: Store, progress: Progress) -> list[Path]:
        """Search part by part, leaving out the parts that `folder` holds, and name their files."""
        evade = self.evade
        chosen = evade.chosen(store, progress)
        victim, steering = evade.pair.victim(store, progress)
        if evade.surrogate is not None:
            steering = surrogate_steering(store.get(evade.surrogate, progress), steering)
        device = choose_device(evade.device)
        if device.type != "cpu":
            steering = steering.to(device)
        images = attackable(evade.images, evade.split)
        paths = []
        for number, rows in list(enumerate(torch.arange(len(chosen.index)).split(_PART)))[self.first :][: self.parts]:
            path = folder / f"part-{number:05d}.safetensors"
            if not path.is_file():
                part = chosen.rows(rows)
                # Fewer bits than a twin's own round to other integers than the build does.
                with exact_float32(), repeatable(device):
                    found = search_selected(
                        victim,
                        images,
                        part,
                        evade.attack,
                        steering=steering,
                        batch_size=evade.batch_size,
                        progress=_shifted(progress, evade.name, int(rows[0]), len(chosen.index)),
                    )
                found.save(path)
            paths.append(path)
        return paths


def drawn(chosen: Selection, count: int | None, seed: int) -> Selection:
    """Draw `count` images of a selection, in their order; all of them when there are no more."""
    if count is None or count >= len(chosen.index):
        return chosen
    rows = torch.randperm(len(chosen.index), generator=torch.Generator().manual_seed(seed))[:count].sort().values
    return chosen.rows(rows)


def _shifted(progress: Progress, name: str, start: int, whole: int) -> Progress:
    def told(task: str, done: int, total: int, note: str = "") -> None:
        progress(name, start + done, whole, note)

    return told
