"""How many channels a model takes, and grey images for one that takes three and does not repeat the channel itself."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from edgerift.images import ImageShape, in_channels
from edgerift.zoo._frozen_copy import frozen_copy

_COLOUR = 3


def channels_of(model: nn.Module, shape: ImageShape) -> int:
    """Return how many channels a model takes, 1 or 3, that is shown images of this shape.

    A module that says `image_channels`, as classifiers and twins do, takes so many and repeats the one channel of grey
    images itself. Any other is taken to fit the images, unless they are grey and it raises an error for them.

    >>> channels_of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), ImageShape(1, 8, 8))
    3
    """
    said = getattr(model, "image_channels", None)
    if isinstance(said, int):
        return said
    return _COLOUR if shape.channels == _COLOUR or not _takes(model, shape) else 1


def taking(model: nn.Module, shape: ImageShape) -> nn.Module:
    """Return a module that takes images of this shape: the model, or one around it that says its `image_channels`.

    >>> taking(nn.Conv2d(3, 4, 3), ImageShape(1, 8, 8))(torch.zeros(2, 1, 8, 8)).shape
    torch.Size([2, 4, 6, 6])
    """
    if shape.channels == _COLOUR or isinstance(getattr(model, "image_channels", None), int):
        return model
    return _Repeating(model, channels_of(model, shape))


@final
class _Repeating(nn.Module):
    """A model that is shown the one channel of grey images `channels` times."""

    def __init__(self, model: nn.Module, channels: int) -> None:
        super().__init__()
        self.model, self.image_channels = model, channels
        self.training = model.training

    def forward(self, images: Tensor) -> Tensor:
        """Answer as the model does."""
        answers: Tensor = self.model(in_channels(images, self.image_channels))
        return answers


def _takes(model: nn.Module, shape: ImageShape) -> bool:
    # A model that trains keeps statistics of what it is shown, and some raise an error for a single image.
    asked = frozen_copy(model, None) if model.training else model
    tensor = next(iter([*model.parameters(), *model.buffers()]), torch.zeros(0))
    kind = tensor.dtype if tensor.is_floating_point() else torch.float32
    try:
        with torch.no_grad():
            asked(torch.zeros(2, *shape, dtype=kind, device=tensor.device))
    except Exception:  # A user's model may raise anything for images that it does not take.
        return False
    return True
