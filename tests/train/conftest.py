import pytest
import torch
from torch import nn

from edgerift.images import Augmentation, ImageSet


def stripes(count: int, seed: int, *, size: int = 8) -> ImageSet:
    """Make images whose class is the channel that is bright, under noise: easy, but not at once."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=draws)
    images = torch.randint(0, 160, (count, 3, size, size), generator=draws)
    images[torch.arange(count), labels] += 60
    fingerprint = f"stripes-{count}-{seed}-{size}"
    return ImageSet(
        name="stripes",
        images=images.to(torch.uint8),
        labels=labels,
        classes=("red", "green", "blue"),
        fingerprint=fingerprint,
        augmentation=Augmentation(flip=True, crop=1),
    )


@pytest.fixture
def train_set() -> ImageSet:
    return stripes(70, 0)


@pytest.fixture
def held_set() -> ImageSet:
    return stripes(30, 1)


@pytest.fixture
def net() -> nn.Module:
    """A network with everything that has state or randomness of its own: batch norm and dropout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv2d(6, 4, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
