"""An image set that is held on the device as uint8 and cut into batches there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from edgerift.images import Augmentation, ImageSet, in_channels, to_float
from edgerift.train._augment import augment
from edgerift.train._distortion import distort
from edgerift.train._mixup import mixed, mixture
from edgerift.train._random import derived_seed, generator
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
    classes: int
    distortion: float = 0.0
    mixup: float = 0.0

    def __len__(self) -> int:
        """Return the number of batches of one epoch; the last one may be smaller."""
        return -(-len(self.images) // self.batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield each image once, in an order and an augmentation determined by the seed and `epoch`.

        Where the settings mix, targets are rows `[B, K]`, and a label is that of the larger part of its image.
        """
        order = torch.randperm(len(self.images), generator=generator(self.seed, epoch, "order"))
        draws, distortions, partners = (generator(self.seed, epoch, use) for use in ("augment", "distortion", "mixup"))
        weights = random.Random(derived_seed(self.seed, epoch, "weights"))
        for chosen in torch.split(order.to(self.images.device), self.batch_size):
            batch = self._batch(augment(self.images[chosen], self.augmentation, draws), chosen)
            if self.distortion:
                batch = batch._replace(images=self._laid_out(distort(batch.images, self.distortion, distortions)))
            if self.mixup:
                drawn = mixture(len(chosen), self.mixup, weights, partners)
                images, targets = mixed(batch.images, batch.targets, self.classes, drawn)
                batch = batch._replace(images=self._laid_out(images), targets=targets)
            yield batch

    def in_order(self) -> Iterator[Batch]:
        """Yield the images as they are and in their order, in batches for evaluation."""
        places = torch.arange(len(self.images), device=self.images.device)
        for chosen in torch.split(places, EVALUATION_BATCH):
            yield self._batch(self.images[chosen], chosen)

    def _laid_out(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=self.memory_format)

    def _batch(self, images: Tensor, chosen: Tensor) -> Batch:
        floats = to_float(self._laid_out(in_channels(images, self.channels)))
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
        classes=len(image_set.classes),
        distortion=settings.distortion,
        mixup=settings.mixup,
    )
