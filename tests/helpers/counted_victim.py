"""Victims for a thief whose answers are known, and that keep count of what they are asked."""

from collections import Counter

import torch
from torch import Tensor

from edgerift.images import in_channels


class CountedVictim:
    """Linear logits of uint8 images, bit-equal in any batch, and how often each image was asked about."""

    def __init__(self, classes: int = 5, size: int = 4, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        # Whole numbers of this size add up exactly in float64, in any order.
        self.weight = torch.randint(-20, 21, (3 * size * size, classes), generator=generator).double()
        self.asked: Counter[bytes] = Counter()

    def __call__(self, images: Tensor) -> Tensor:
        self.asked.update(image.numpy().tobytes() for image in images)
        return self.logits(images)

    def logits(self, images: Tensor) -> Tensor:
        """Answer without counting."""
        return (in_channels(images, 3).flatten(1).double() @ self.weight / 2048).float()

    def posteriors(self, images: Tensor) -> Tensor:
        """Answer softmax(logits) without counting."""
        return self.logits(images).softmax(1)


def distinct_images(count: int, size: int = 4, seed: int = 0) -> Tensor:
    """Draw uint8 images `[N,3,S,S]` no two of which are equal."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    numbers = torch.arange(count)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = (numbers % 256).byte(), (numbers // 256).byte()
    return images
