"""Which images of a set can be evaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias, final

from pydantic import Field
from torch import Tensor

from edgerift.evade._evasion import Dropped
from edgerift.images import ImageSet, ImagesSettings, open_splits

#: Which images are attacked: the test images, or those that the original learned from. A key leaves the default out.
AttackedSplit: TypeAlias = Annotated[Literal["test", "train"], Field(exclude_if=lambda split: split == "test")]


def attackable(images: ImagesSettings, split: AttackedSplit) -> ImageSet:
    """Open the images that an attack draws from."""
    splits = open_splits(images)
    return splits.test if split == "test" else splits.train


@final
@dataclass(frozen=True)
class Selection:
    """The images of a set that can be evaded: their places int64 `[N]` and both models' clean logits `[N,K]`."""

    index: Tensor
    original: Tensor
    build: Tensor
    dropped: Dropped

    def rows(self, which: Tensor) -> Selection:
        """Keep some of the images: bool `[N]`, or their rows int64 `[M]`."""
        return replace(self, index=self.index[which], original=self.original[which], build=self.build[which])


def eligible(original: Tensor, build: Tensor, labels: Tensor) -> Selection:
    """Choose the images that both models' logits `[N,K]` label correctly, and count the others."""
    first, second = original.argmax(1) == labels, build.argmax(1) == labels
    index = (first & second).nonzero()[:, 0]
    dropped = Dropped(
        original_wrong=int((~first & second).sum()),
        build_wrong=int((first & ~second).sum()),
        both_wrong=int((~first & ~second).sum()),
    )
    return Selection(index, original[index], build[index], dropped)
