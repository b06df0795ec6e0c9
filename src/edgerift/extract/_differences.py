"""Gradients of a victim that has none: finite differences through its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from edgerift.extract._difference_settings import Differences
from edgerift.extract._generator import squashed
from edgerift.extract._recovery import LOSSES, Loss, logarithms

Ask = Callable[[Tensor], Tensor]


class Estimate(NamedTuple):
    """A gradient estimated at points, and what the victim answered there.

    `gradient` `[N,C,H,W]` of the loss of each point; `answers` `[N,K]` at the points themselves, None where they were
    not queried; `zero_share` the share of directions along which the victim's answers did not change at all.
    """

    gradient: Tensor
    answers: Tensor | None
    zero_share: Tensor


def sphere(points: Tensor, count: int, generator: torch.Generator, *, antithetic: bool = False) -> Tensor:
    """Draw `count` directions for each of the points `[N,...]`: `[count,N,...]`, uniform on the unit sphere."""
    drawn = count // 2 if antithetic else count
    directions = torch.randn(drawn, *points.shape, generator=generator, device=points.device)
    flat = directions.flatten(2)
    directions = (flat / flat.norm(dim=2, keepdim=True)).view_as(directions)
    return torch.cat([directions, -directions]) if antithetic else directions


def estimate(
    ask: Ask, clone: Ask, points: Tensor, loss: Loss, settings: Differences, generator: torch.Generator
) -> Estimate:
    """Estimate the gradient of `loss(clone, victim)` at points `[N,C,H,W]` before their tanh, for each point.

    `ask` answers images float32 `[M,C,H,W]` in [0, 1] with posteriors `[M,K]` on the same device. All points are asked
    about at once. The clone is used as it stands, in whichever mode it is.
    """
    points = points.detach()
    directions = sphere(points, settings.directions, generator, antithetic=settings.antithetic)
    shifted = [points + settings.epsilon * directions]
    if settings.scheme == "central":
        shifted.append(points - settings.epsilon * directions)
    middle = [points[None]] if settings.needs_middle else []
    places = torch.cat([*middle, *shifted])
    with torch.no_grad():
        answers = ask(squashed(places.flatten(0, 1)))
    answers = answers.view(*places.shape[:2], -1)
    start = len(middle)
    ahead = answers[start : start + settings.directions]
    behind = answers[start + settings.directions :] if settings.scheme == "central" else answers[:1].expand_as(ahead)
    width = settings.epsilon * (2 if settings.scheme == "central" else 1)
    zero_share = (ahead == behind).all(2).float().mean()
    at_points = answers[0] if middle else None
    if settings.split:
        assert at_points is not None
        slopes = (logarithms(ahead) - logarithms(behind)) / width
        gradient = _split(clone, points, loss, at_points, slopes, directions)
    else:
        losses = _losses(clone, places, answers, loss)
        forward = losses[start : start + settings.directions]
        backward = losses[start + settings.directions :] if settings.scheme == "central" else losses[:1]
        gradient = _weighted((forward - backward) / width, directions)
    return Estimate(gradient, at_points, zero_share)


def _losses(clone: Ask, places: Tensor, answers: Tensor, loss: Loss) -> Tensor:
    with torch.no_grad():
        logits = clone(squashed(places.flatten(0, 1))).float()
        return LOSSES[loss](logits, answers.flatten(0, 1)).view(places.shape[:2])


def _weighted(slopes: Tensor, directions: Tensor) -> Tensor:
    """Average `d slope u` over directions `[m,N,...]`: E[d u u'] is the identity, so the mean is the gradient."""
    dimensions = directions[0, 0].numel()
    shape = slopes.shape + (1,) * (directions.dim() - 2)
    return dimensions * (slopes.view(shape) * directions).mean(0)


def _split(clone: Ask, points: Tensor, loss: Loss, answers: Tensor, slopes: Tensor, directions: Tensor) -> Tensor:
    """Differentiate through the clone; along the directions the victim's log posteriors have `slopes` `[m,N,K]`."""
    with torch.enable_grad():
        inner, outer = points.clone().requires_grad_(), logarithms(answers).requires_grad_()
        losses = LOSSES[loss](clone(squashed(inner)).float(), outer.exp()).sum()
        through_clone, through_victim = torch.autograd.grad(losses, [inner, outer])
    return through_clone + _weighted((slopes * through_victim).sum(2), directions)
