"""The one type of the zoo: a body with its normalisation in front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, fx, nn

from edgerift.images import in_channels
from edgerift.measure import log_probabilities
from edgerift.specification import SpecifiedModule
from edgerift.zoo._architecture import Architecture
from edgerift.zoo._learned import Learned

# A trace of a classifier calls it as it is: it depends on the images' shape.
fx.wrap("in_channels")


@final
class Normalise(nn.Module):
    """Shift and scale each channel: `(images - mean) / std`, with both as buffers `[1, C, 1, 1]`.

    >>> Normalise((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))(torch.ones(1, 3, 1, 1)).flatten().tolist()
    [2.0, 2.0, 2.0]
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Keep the mean and the standard deviation of each channel, in units of images in `[0, 1]`."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).reshape(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Normalise float images `[N, C, H, W]`."""
        # A subtraction and a division, since quantizers turn additions and multiplications into integer
        # operators, and the normalisation has to stay in float in front of the first quantization.
        return (images - self.mean) / self.std


@final
class Classifier(nn.Module):
    """A float32 original: images in `[0, 1]`, `[N, C, H, W]`, to logits `[N, K]`.

    One that takes three channels repeats the one of grey images. `normalise` is its first layer, `body` the network
    behind it, `architecture` what it was made from, and `learned` what it was trained on, where that is known. Of a
    body that answers probabilities the logarithms are taken where `takes_logarithms` says so. Where the architecture
    has a specification, the body is a `SpecifiedModule`, which normalises too; `content` is then the file that the
    network came as, where it came as one.
    """

    learned: Learned | None
    content: bytes | None

    def __init__(self, body: nn.Module, architecture: Architecture, *, takes_logarithms: bool = False) -> None:
        """Put the normalisation that `architecture` states in front of `body`."""
        super().__init__()
        self.takes_logarithms = takes_logarithms
        given = architecture.specification
        if given is None:
            self.normalise: nn.Module = Normalise(architecture.mean, architecture.std)
            self.body = body
        else:
            self.normalise = nn.Identity()
            inner = body.module if isinstance(body, SpecifiedModule) else body
            self.body = SpecifiedModule(inner, given, f"'{architecture.name}'")
        self.architecture = architecture
        self.learned = None
        self.content = None

    @property
    def image_channels(self) -> int:
        """How many channels the network takes."""
        return self.architecture.shape.channels

    def forward(self, images: Tensor) -> Tensor:
        """Answer logits `[N, K]` for float images `[N, C, H, W]` in `[0, 1]`; raises `ModelError` for others."""
        answers: Tensor = self.body(self.normalise(in_channels(images, self.image_channels)))
        return log_probabilities(answers) if self.takes_logarithms else answers
