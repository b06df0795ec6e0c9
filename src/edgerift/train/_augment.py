"""Augmentation of whole batches as tensor operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgerift.images import Augmentation


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Mirror and shift each image at random, as far as `augmentation` allows.

    `images` are uint8 `[N, C, H, W]`, and so is the result. With `crop` an image is padded by that many
    black pixels on each side and a window of its own size is cut out at a uniformly drawn place; with
    `flip` it is mirrored left and right with probability one half. The draws come from `generator`, which
    lies on the CPU.
    """
    if not augmentation.flip and not augmentation.crop:
        return images
    count, channels, height, width = images.shape
    crop = augmentation.crop
    # The number of draws does not depend on what is allowed, so that one switch does not affect the other's draws.
    draws = torch.rand(3, count, generator=generator)
    top, left = (draws[:2] * (2 * crop + 1)).long()
    mirrored = (draws[2] < 0.5) & augmentation.flip
    rows = top[:, None] + torch.arange(height)
    columns = torch.arange(width).expand(count, width)
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns) + left[:, None]
    padded = F.pad(images, (crop, crop, crop, crop)) if crop else images
    pixels = (rows[:, :, None] * padded.shape[3] + columns[:, None, :]).reshape(count, 1, height * width)
    pixels = pixels.to(images.device, non_blocking=True).expand(count, channels, height * width)
    return padded.reshape(count, channels, -1).gather(2, pixels).reshape(images.shape)
