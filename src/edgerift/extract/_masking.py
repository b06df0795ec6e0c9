"""How much of a finite difference is the victim's slope, and how much is gradient masking by its integer grid."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from edgerift.extract._difference_settings import Differences
from edgerift.extract._differences import sphere
from edgerift.extract._generator import Generator, squashed
from edgerift.extract._recovery import LOSSES, Loss, logarithms
from edgerift.settings import Settings
from edgerift.train import exact_float32

Answer = Callable[[Tensor], Tensor]


#: Below this correlation a difference carries almost no information about the slope.
_BLIND: Final = 0.1
#: How many points are evaluated at once: autograd keeps all activations of the victim.
_TOGETHER: Final = 64


class Masking(Settings):
    """The quality of finite differences of a victim, measured with access to the victim; no attack sees it.

    At `points` images of the generator and one random direction each, `epsilon` wide before the tanh, along which the
    attack would take a difference of its loss, to both sides where it does: `zero_share` is the share of points where
    the victim's answer does not change at all, `correlation` that of the differences with the true slopes (of a
    differentiable model of the victim, by autograd), and `ratio` the root mean square of the differences over that of
    the slopes: 1 where they are exact, far more where rounding dominates. Correlation and ratio are None where one of
    the two is zero everywhere.
    """

    epsilon: float
    points: int
    zero_share: float
    correlation: float | None
    ratio: float | None

    @property
    def correlation_low(self) -> float | None:
        """The lower bound of the correlation's 95 % interval, by Fisher's transform; None where there is none."""
        if self.correlation is None or self.points <= 3:
            return None
        inside = min(max(self.correlation, -1 + 1e-9), 1 - 1e-9)
        return math.tanh(math.atanh(inside) - 1.96 / math.sqrt(self.points - 3))

    @property
    def is_blind(self) -> bool:
        """Whether the correlation with the slopes is not significant: its interval reaches below 0.1."""
        return self.correlation_low is None or self.correlation_low < _BLIND


@exact_float32()
def masking(
    answer: Answer,
    smooth: nn.Module,
    clone: nn.Module,
    generator: Generator,
    *,
    differences: Differences,
    loss: Loss,
    latent: int,
    points: int = 1024,
    seed: int = 0,
) -> Masking:
    """Compare a victim's finite differences, as an attack takes them, with the slopes of a differentiable model of it.

    `answer` gives the victim's posteriors `[N,K]` for images float32 `[N,C,H,W]` in [0, 1], as the attack would get
    them; `smooth` is a module from the same images to logits, which is differentiated. Only the victim's part of the
    loss changes from end to end of a difference: the clone's logits are those at the point.
    """
    draws = torch.Generator().manual_seed(seed)
    device = next(generator.parameters()).device
    # The mean over a direction and its opposite is the difference between the two.
    back = differences.epsilon if differences.scheme == "central" or differences.antithetic else 0.0
    with torch.no_grad():
        middles = generator(torch.randn(points, latent, generator=draws).to(device))
    directions = sphere(middles.cpu(), 1, draws)[0].to(device)
    parts = []
    for middle, direction in zip(middles.split(_TOGETHER), directions.split(_TOGETHER), strict=True):
        with torch.no_grad():
            logits = clone(squashed(middle)).float()
            behind = answer(squashed(middle - back * direction))
            ahead = answer(squashed(middle + differences.epsilon * direction))
            rise = LOSSES[loss](logits, ahead) - LOSSES[loss](logits, behind)
        slopes = _slopes(smooth, logits, middle, direction, loss)
        parts.append((rise / (differences.epsilon + back), slopes, (behind == ahead).all(1)))
    found, true, unmoved = (torch.cat(column).double().cpu() for column in zip(*parts, strict=True))
    zero_share = float(unmoved.mean())
    sizes = float(found.square().mean().sqrt()), float(true.square().mean().sqrt())
    spread = float(found.std(correction=0) * true.std(correction=0))
    return Masking(
        epsilon=differences.epsilon,
        points=points,
        zero_share=zero_share,
        correlation=float(torch.corrcoef(torch.stack([found, true]))[0, 1]) if spread > 0 else None,
        ratio=sizes[0] / sizes[1] if sizes[0] > 0 and sizes[1] > 0 else None,
    )


def _slopes(smooth: nn.Module, logits: Tensor, points: Tensor, direction: Tensor, loss: Loss) -> Tensor:
    """Differentiate the loss through the victim alone, along one direction for each point: `[N]`."""
    with torch.enable_grad():
        place = points.clone().requires_grad_()
        answers = logarithms(smooth(squashed(place)).float().softmax(1)).exp()
        (slope,) = torch.autograd.grad(LOSSES[loss](logits, answers).sum(), place)
    return (slope * direction).flatten(1).sum(1)
