"""The critic of MAZE-PD: it tells an attacker's own images from those that the generator makes."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn

from edgerift.images import in_channels

_PENALTY: Final = 10.0


@final
class Critic(nn.Module):
    """A small convolutional network from images `[N,C,H,W]` in [0, 1] to one number each, high for real ones.

    The one channel of grey images is repeated.
    """

    def __init__(self) -> None:
        """Make one for images of any size from 8 pixels a side, its weights drawn from torch's global state."""
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in ((3, 32), (32, 64), (64, 128)):
            layers += [nn.Conv2d(inputs, outputs, kernel_size=3, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Answer images `[N,C,H,W]` in [0, 1] with `[N]`."""
        found: Tensor = self.body(2 * in_channels(images, 3) - 1)
        return found.squeeze(1)


def critic_loss(critic: nn.Module, real: Tensor, made: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the loss of a Wasserstein critic with gradient penalty (arXiv 1704.00028, equation 3): a scalar.

    `mean(c(made)) - mean(c(real)) + 10 mean((|grad c(between)| - 1)^2)`, `between` drawn on the line from each real
    image to a made one.
    """
    share = torch.rand(len(real), 1, 1, 1, generator=generator, device=generator.device).to(real.device)
    between = (share * real + (1 - share) * made).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = (slope.flatten(1).norm(dim=1) - 1).square().mean()
    loss: Tensor = critic(made).mean() - critic(real).mean() + _PENALTY * penalty
    return loss
