"""Grey images under attack: one channel is held and moved, and every model is shown it as often as it has channels."""

from __future__ import annotations

from torch import Tensor


def held(images: Tensor, *, grey: bool) -> Tensor:
    """Take the part of images `[N,C,H,W]` that an attack moves: all channels, or the one of grey images, `[N,1,H,W]`.

    A camera that records grey images cannot record a coloured one, so that a change of one channel alone is no finding.
    """
    return images[:, :1].contiguous() if grey else images


def shown(images: Tensor, channels: int) -> Tensor:
    """Give held images `[N,C,H,W]` as a model wants them, `[N,channels,H,W]`: one channel is repeated.

    The gradient of the one channel is the sum over its copies.

    >>> import torch
    >>> shown(torch.ones(2, 1, 4, 4), 3).shape
    torch.Size([2, 3, 4, 4])
    """
    return images if images.shape[1] == channels else images.repeat(1, channels, 1, 1)
