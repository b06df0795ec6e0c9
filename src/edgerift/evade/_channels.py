"""Grey images under attack: one channel is perturbed, and repeated for models that take several."""

from __future__ import annotations

from torch import Tensor


def held(images: Tensor, *, grey: bool) -> Tensor:
    """Return the channels of images `[N,C,H,W]` that an attack perturbs: all, or one of grey images, `[N,1,H,W]`.

    A greyscale camera cannot record a coloured image, so a change of a single channel is no finding.
    """
    return images[:, :1].contiguous() if grey else images


def shown(images: Tensor, channels: int) -> Tensor:
    """Expand images `[N,C,H,W]` to the channels of a model, `[N,channels,H,W]`: one channel is repeated.

    The gradient of the one channel is the sum over its copies.

    >>> import torch
    >>> shown(torch.ones(2, 1, 4, 4), 3).shape
    torch.Size([2, 3, 4, 4])
    """
    return images if images.shape[1] == channels else images.repeat(1, channels, 1, 1)
