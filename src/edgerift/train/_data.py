"""An image set that is held on the device as uint8 and cut into batches there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from edgerift.images import Augmentation, ImageSet, in_channels, to_float
from edgerift.train._augment import augment
from edgerift.train._random import generator
from edgerift.train._settings import TrainSettings

EVALUATION_BATCH = 500


class Batch(NamedTuple):
    """Float images `[B, C, H, W]` in `[0, 1]`, targets `[B]` or `[B, K]` of the loss, and labels `[B]`."""

    images: Tensor
    targets: Tensor
    labels: Tensor


@dataclass(frozen=True)
class DeviceData:
    """The images, targets and labels of a set on the device, and how its batches are made.

    Batches have the `channels` of the model: those of grey images repeat the one channel.
    """

    images: Tensor
    targets: Tensor
    labels: Tensor
    augmentation: Augmentation
    memory_format: torch.memory_format
    batch_size: int
    seed: int
    channels: int

    def __len__(self) -> int:
        """Return the number of batches of one epoch; the last one may be smaller."""
        return -(-len(self.images) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield each image once, in an order and an augmentation determined by the seed and `epoch`."""
        order = torch.randperm(len(self.images), generator=generator(self.seed, epoch, "order"))
        draws = generator(self.seed, epoch, "augment")
        for chosen in torch.split(order.to(self.images.device), self.batch_size):
            yield self._batch(augment(self.images[chosen], self.augmentation, draws), chosen)

    def in_order(self) -> Iterator[Batch]:
        """Yield the images as they are and in their order, in batches for evaluation."""
        places = torch.arange(len(self.images), device=self.images.device)
        for chosen in torch.split(places, EVALUATION_BATCH):
            yield self._batch(self.images[chosen], chosen)

    def _batch(self, images: Tensor, chosen: Tensor) -> Batch:
        shown = in_channels(images, self.channels)
        floats = to_float(shown.contiguous(memory_format=self.memory_format))
        return Batch(floats, self.targets[chosen], self.labels[chosen])


def on_device(
    image_set: ImageSet, targets: Tensor | None, settings: TrainSettings, device: torch.device, channels: int
) -> DeviceData:
    """Put a set on the device for a model that takes so many channels.

    `targets` replace the labels in the loss where they are given.
    """
    labels = image_set.labels.to(device)
    return DeviceData(
        images=image_set.images.to(device),
        targets=labels if targets is None else targets.to(device),
        labels=labels,
        augmentation=image_set.augmentation if settings.augment else Augmentation(),
        memory_format=torch.channels_last if settings.channels_last else torch.contiguous_format,
        batch_size=settings.batch_size,
        seed=settings.seed,
        channels=channels,
    )
