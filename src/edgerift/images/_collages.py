"""Images without a label of their own, put together from an image set: queries for an attacker with no other set."""

from __future__ import annotations

import torch

from edgerift.errors import DataError
from edgerift.images._fingerprint import derive
from edgerift.images._set import ImageSet
from edgerift.settings import require_seed


def collages(image_set: ImageSet, count: int, *, seed: int = 0) -> ImageSet:
    """Put together `count` collages of a set's images, each of two of them, mirrored and turned at random.

    Square images are turned by quarters, others by halves. The left or upper part, between a quarter and three quarters
    of the side, comes from the one image and the rest from the other. All labels are 0 and all collages belong to the
    one class `collage`: nobody has labelled them. The set's augmentation goes with them. Raises `DataError` for an
    empty set or a count below 1, `RecipeError` for a seed that is negative or too large.
    """
    if len(image_set) == 0 or count < 1:
        raise DataError(
            f"{count} collages of the {len(image_set)} images of '{image_set.name}'; both must be 1 or more"
        )
    generator = torch.Generator().manual_seed(require_seed(seed))
    _, height, width = image_set.shape
    drawn = torch.randint(len(image_set), (2, count), generator=generator)
    turned = [_turned(image_set.images[places].cpu(), generator) for places in drawn]
    lower = _cuts(height, count, generator)
    upright = torch.randint(2, (count,), generator=generator, dtype=torch.bool)
    right = lower if width == height else _cuts(width, count, generator)
    above = (torch.arange(height)[None, :, None] < lower[:, None, None]).expand(count, height, width)
    left = (torch.arange(width)[None, None, :] < right[:, None, None]).expand(count, height, width)
    mask = torch.where(upright[:, None, None], above, left)
    return ImageSet(
        name=f"{image_set.name} collages",
        images=torch.where(mask[:, None], turned[0], turned[1]),
        labels=torch.zeros(count, dtype=torch.int64),
        classes=("collage",),
        fingerprint=derive(image_set.fingerprint, "collages", f"{count} {seed}"),
        augmentation=image_set.augmentation,
        in_colour=not image_set.grey,
    )


def _cuts(length: int, count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(length // 4, length - length // 4 + 1, (count,), generator=generator)


def _turned(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Turn each image uint8 `[N,C,H,W]` by a random multiple of 90 degrees, or of 180, and mirror half of them."""
    turns = torch.randint(8, (len(images),), generator=generator)
    by = 1 if images.shape[2] == images.shape[3] else 2
    result = torch.empty_like(images)
    for turn in range(8):
        chosen = turns == turn
        part = torch.rot90(images[chosen], by * turn % 4, (2, 3))
        result[chosen] = part.flip(3) if turn >= 4 else part
    return result
