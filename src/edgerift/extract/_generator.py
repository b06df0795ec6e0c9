"""The generator of the data-free attacks, and the images it makes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.errors import InputError


@final
class Generator(nn.Module):
    """DFME's generator (Truong et al. 2021, arXiv 2011.14779): latent vectors `[N,Z]` to images before their tanh.

    A linear layer to `width` channels at a quarter of the side, two upsamplings by 2 with convolutions (to the same
    number of channels, then to half), batch norm and leaky ReLU of 0.2, a convolution to three channels (to one for
    grey images) and a last batch norm, which scales and shifts only where `affine` is true, as in MAZE (Kariyappa et
    al. 2021, arXiv 2005.03161).

    Raises :class:`~edgerift.errors.InputError` for images whose side is not a multiple of four.
    """

    def __init__(self, latent: int, size: int, *, affine: bool = False, width: int = 128, grey: bool = False) -> None:
        """Make one for images of `size` pixels per side; the weights come from torch's global random state."""
        super().__init__()
        if size % 4 != 0:
            raise InputError(
                f"images of {size} pixels per side; the generator needs a multiple of 4, give another size"
            )
        self.side, self.width = size // 4, width
        channels = 1 if grey else 3
        self.linear = nn.Linear(latent, width * self.side**2)
        self.norm0 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width // 2, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, channels, kernel_size=3, padding=1)
        self.norm3 = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, latent: Tensor) -> Tensor:
        """Map latent vectors `[N,Z]` to points `[N,C,size,size]`; :func:`squashed` makes images of them."""
        features = self.linear(latent).view(len(latent), self.width, self.side, self.side)
        features = F.interpolate(self.norm0(features), scale_factor=2)
        features = F.leaky_relu(self.norm1(self.conv1(features)), 0.2)
        features = F.interpolate(features, scale_factor=2)
        features = F.leaky_relu(self.norm2(self.conv2(features)), 0.2)
        points: Tensor = self.norm3(self.conv3(features))
        return points


def squashed(points: Tensor) -> Tensor:
    """Map to images `[N,3,H,W]` in [0, 1] the points `[N,C,H,W]`: `(tanh(x) + 1) / 2`, one channel three times.

    >>> squashed(torch.tensor([0.0, 20.0]).view(2, 1, 1, 1)).flatten(1)
    tensor([[0.5000, 0.5000, 0.5000],
            [1.0000, 1.0000, 1.0000]])
    """
    images = (torch.tanh(points) + 1) / 2
    return images.repeat(1, 3, 1, 1) if images.shape[1] == 1 else images
