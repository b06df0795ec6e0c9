"""A plain PyTorch network as a user writes one, for weights in files; the normalisation is not in it."""

from pathlib import Path

import torch
from torch import Tensor, nn

from edgerift.images import ImageSet, in_channels, to_float


class Net(nn.Module):
    """A small network for colour images of 12 pixels, or of one channel."""

    def __init__(self, classes: int = 10, channels: int = 3) -> None:
        """Make its layers."""
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8 * 6 * 6, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Answer logits."""
        hidden: Tensor = self.head(self.stem(images).relu().flatten(1))
        return hidden


class Levels(Net):
    """Takes grey levels from 0 to 255."""

    def forward(self, images: Tensor) -> Tensor:
        """Answer logits."""
        return super().forward((images - 128) / 64)


class Two(Net):
    """Answers two outputs."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Answer logits and features."""
        return super().forward(images), images.flatten(1)


def create(classes: int) -> nn.Module:
    """Make the network for a number of classes."""
    return Net(classes)


def grey() -> nn.Module:
    """Make the network for one channel."""
    return Net(channels=1)


def trained(train: ImageSet, path: Path, network: nn.Module, scale: float, offset: float, steps: int = 60) -> Path:
    """Train a network on images in [0,1] times `scale` plus `offset`, and save its weights."""
    images = to_float(in_channels(train.images, next(network.parameters()).shape[1])) * scale + offset
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), train.labels).backward()
        optimizer.step()
    torch.save(network.state_dict(), path)
    return path
