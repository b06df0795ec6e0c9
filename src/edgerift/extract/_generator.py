"""The generator of the data-free attacks, and the images it makes."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.images import Size, extent


@final
class Generator(nn.Module):
    """DFME's generator (Truong et al. 2021, arXiv 2011.14779): latent vectors `[N,Z]` to images before their tanh.

    A linear layer to `width` channels at a quarter of height and width, two upsamplings by 2 with convolutions (to the
    same number of channels, then to half), batch norm and leaky ReLU of 0.2, a convolution to three channels (to one
    for grey images) and a last batch norm, which scales and shifts only where `affine` is true, as in MAZE (Kariyappa
    et al. 2021, arXiv 2005.03161). Where height or width is no multiple of four, the quarter is rounded up, and what is
    too much is cut off behind the last upsampling.
    """

    def __init__(self, latent: int, size: Size, *, affine: bool = False, width: int = 128, grey: bool = False) -> None:
        """Make one for images of a size, in pixels; the weights come from torch's global random state."""
        super().__init__()
        self.height, self.width = extent(size)
        self.features, self.start = width, (-(-self.height // 4), -(-self.width // 4))
        channels = 1 if grey else 3
        self.linear = nn.Linear(latent, width * self.start[0] * self.start[1])
        self.norm0 = nn.BatchNorm2d(width)
        self.conv1 = nn.Conv2d(width, width, kernel_size=3, padding=1)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width // 2, kernel_size=3, padding=1)
        self.norm2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, channels, kernel_size=3, padding=1)
        self.norm3 = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, latent: Tensor) -> Tensor:
        """Map latent vectors `[N,Z]` to points `[N,C,H,W]`; :func:`squashed` makes images of them."""
        features = self.linear(latent).view(len(latent), self.features, *self.start)
        features = F.interpolate(self.norm0(features), scale_factor=2)
        features = F.leaky_relu(self.norm1(self.conv1(features)), 0.2)
        features = F.interpolate(features, scale_factor=2)
        if features.shape[2:] != (self.height, self.width):
            features = features[:, :, : self.height, : self.width]
        features = F.leaky_relu(self.norm2(self.conv2(features)), 0.2)
        points: Tensor = self.norm3(self.conv3(features))
        return points


def squashed(points: Tensor) -> Tensor:
    """Map to images in [0, 1] the points `[N,C,H,W]`: `(tanh(x) + 1) / 2`.

    >>> squashed(torch.tensor([0.0, 20.0]))
    tensor([0.5000, 1.0000])
    """
    return (torch.tanh(points) + 1) / 2
