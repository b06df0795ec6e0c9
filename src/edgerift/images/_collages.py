"""Images without a label of their own, put together from an image set: queries for an attacker with no other set."""

from __future__ import annotations

import torch

from edgerift.errors import DataError
from edgerift.images._fingerprint import derive
from edgerift.images._set import ImageSet
from edgerift.settings import require_seed


def collages(image_set: ImageSet, count: int, *, seed: int = 0) -> ImageSet:
    """Put together `count` collages of a set's images, each of two of them, mirrored and turned by quarters at random.

    The left or upper part, between a quarter and three quarters of the side, comes from the one and the rest from the
    other. All labels are 0 and all collages belong to the one class `collage`: nobody has labelled them. The set's
    augmentation goes with them. Raises `DataError` for an empty set or a count below 1,
    `RecipeError` for a seed that is negative or too large.
    """
    if len(image_set) == 0 or count < 1:
        raise DataError(
            f"{count} collages of the {len(image_set)} images of '{image_set.name}'; both must be 1 or more"
        )
    generator = torch.Generator().manual_seed(require_seed(seed))
    size = image_set.size
    drawn = torch.randint(len(image_set), (2, count), generator=generator)
    turned = [_turned(image_set.images[places].cpu(), generator) for places in drawn]
    cut = torch.randint(size // 4, size - size // 4 + 1, (count,), generator=generator)
    upright = torch.randint(2, (count,), generator=generator, dtype=torch.bool)
    line = torch.arange(size)
    rows = (line[None, :, None] < cut[:, None, None]).expand(count, size, size)
    mask = torch.where(upright[:, None, None], rows, rows.transpose(1, 2))
    return ImageSet(
        name=f"{image_set.name} collages",
        images=torch.where(mask[:, None], turned[0], turned[1]),
        labels=torch.zeros(count, dtype=torch.int64),
        classes=("collage",),
        fingerprint=derive(image_set.fingerprint, "collages", f"{count} {seed}"),
        augmentation=image_set.augmentation,
        from_grey=image_set.grey,
    )


def _turned(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn each square image uint8 `[N,3,S,S]` by a random multiple of 90 degrees, and mirror half of them."""
    turns = torch.randint(8, (len(images),), generator=generator)
    result = torch.empty_like(images)
    for turn in range(8):
        chosen = turns == turn
        part = torch.rot90(images[chosen], turn % 4, (2, 3))
        result[chosen] = part.flip(3) if turn >= 4 else part
    return result
