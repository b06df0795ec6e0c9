"""Where a search starts: at the image, or at a random point of its box, drawn by the image's content and a seed."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from edgerift.evade._attack import Attack


def box(images: Tensor, epsilon: int) -> tuple[Tensor, Tensor]:
    """Compute the box of each uint8 image `[N,C,H,W]`: float32 bounds, whole grey levels inside [0, 255]."""
    centre = images.float()
    return (centre - epsilon).clamp_min_(0), (centre + epsilon).clamp_max_(255)


def project(images: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Project float images to the nearest whole grey levels inside their box, as uint8.

    >>> project(torch.tensor([2.5, 3.4, 99.0]), torch.tensor([0.0] * 3), torch.tensor([10.0] * 3))
    tensor([ 2,  3, 10], dtype=torch.uint8)
    """
    # By way of int16: the conversion from floats to bytes takes four times as long.
    return images.round().clamp_(low, high).to(torch.int16).to(torch.uint8)


def starts(images: Tensor, numbers: list[int], attack: Attack) -> Tensor:
    """Draw the starts of uint8 images `[N,C,H,W]`: float32, whole grey levels or, for random-sign, half an epsilon.

    `numbers` is the number of each restart of its image. The draw depends on the image's bytes, the number and the
    attack's seed alone, so that neither order nor batches change it.
    """
    placed = images.float()
    low, high = box(images, attack.epsilon)
    for row, number in enumerate(numbers):
        kind = attack.start if number == 0 or attack.start != "clean" else "random"
        if kind == "clean":
            continue
        generator = _generator(images[row], number, attack.seed)
        if kind == "random":
            share = torch.rand(images[row].shape, generator=generator)
            placed[row] = torch.minimum(low[row] + (share * (high[row] - low[row] + 1)).floor(), high[row])
        else:
            signs = torch.randn(images[row].shape, generator=generator).sign()
            placed[row] = torch.clamp(placed[row] + signs * (attack.epsilon / 2), low[row], high[row])
    return placed


def drawn_from(image: Tensor, shape: tuple[int, ...], seed: int) -> Tensor:
    """Draw numbers from [0, 1), float32 of a shape, that depend on the image's bytes and the seed alone."""
    return torch.rand(shape, generator=_generator(image, 0, seed))


def _generator(image: Tensor, number: int, seed: int) -> torch.Generator:
    content = image.contiguous().numpy().tobytes() + f"{seed}/{number}".encode()
    return torch.Generator().manual_seed(int.from_bytes(hashlib.blake2b(content, digest_size=7).digest(), "big"))
