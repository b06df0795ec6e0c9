"""The certificate: one pass of bounds through both networks for each image's box."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from edgerift.certify._certificate import Certificate
from edgerift.certify._margins import Head
from edgerift.certify._networks import Networks, networks_of
from edgerift.certify._rounding import Grid
from edgerift.errors import InputError, ModelError
from edgerift.evade import Pair, Selection, select
from edgerift.images import ImageSet
from edgerift.steps import Progress, silent

#: Half as much as a difference of two float32 numbers may be off the real one, relative to the numbers.
_FLOAT32: Final = 2.0**-22
#: The lead of a class whose score is at most the label's, and which is not the answer where they are equal.
_BELOW: Final = -torch.finfo(torch.float32).tiny
#: How far an answer may lie outside its bounds, relative to the answer.
_OUTSIDE: Final = 1e-6


def certify(
    pair: Pair,
    image_set: ImageSet,
    *,
    epsilon: int,
    eligible_only: bool = True,
    levels: int | None = None,
    batch_size: int = 16,
    progress: Progress = silent,
) -> Certificate:
    """Prove for as many images as possible that no image in their box of `epsilon` grey levels evades.

    Bounds on both networks and on their difference are carried from layer to layer; see :class:`Certificate` for what
    is proved. Unless `eligible_only` is false only images that both models label correctly are examined, as in a
    search. `levels` is by how many levels a rounding of the build may be off from the nearest one: by default none
    where a twin follows the runtime's integer kernels to the bit, else one.

    Raises :class:`~edgerift.errors.InputError` for an epsilon outside 0 to 255 and for a build without a program, and
    :class:`~edgerift.errors.ModelError` for an operator without bounds and for answers that are not the program's.
    """
    if not 0 <= epsilon <= 255:
        raise InputError(f"an epsilon of {epsilon} grey levels; allowed: 0 to 255")
    if batch_size < 1:
        raise InputError(f"a batch size of {batch_size}; allowed: 1 or more")
    chosen = select(pair, image_set, eligible_only=eligible_only)
    images, labels = image_set.images[chosen.index].contiguous(), image_set.labels[chosen.index]
    networks = networks_of(pair, image_set.shape, levels)
    leads = [_answered(chosen, labels)]
    with torch.no_grad():
        _require_bounded(networks, images[:batch_size], labels[:batch_size], chosen)
        for start in range(0, len(labels) if epsilon else 0, batch_size):
            progress("certify", start, len(labels))
            part = slice(start, start + batch_size)
            leads.append(_leads(networks, images[part], epsilon, labels[part]))
    progress("certify", len(labels), len(labels))
    return Certificate(
        epsilon=epsilon,
        data=image_set.name,
        index=chosen.index,
        labels=labels,
        lead=torch.cat(leads[1:]) if epsilon else leads[0],
        aligned=networks.alone is None,
        levels=networks.arithmetic.more,
    )


def _require_bounded(networks: Networks, images: Tensor, labels: Tensor, chosen: Selection) -> None:
    """Compare answers to clean images with the bounds of these very images."""
    if len(images) == 0:
        return
    _, logits = networks.bounded(images, 0, labels)
    for whose, answers, known, error in (
        ("original", chosen.original, logits.original, networks.error),
        ("build", chosen.build, logits.build, torch.zeros(())),
    ):
        given = answers[: len(images)].double()
        slack = error + _OUTSIDE * (1 + given.abs())
        outside = torch.maximum(known.low - given, given - known.high) - slack
        if bool((outside > 0).any()):
            raise ModelError(
                f"the {whose}'s scores lie up to {float(outside.max()):.3g} outside what its program can answer; "
                "`edgerift card` shows how far a build is from its program, and levels=1 allows for other roundings"
            )


def _answered(chosen: Selection, labels: Tensor) -> Tensor:
    """The build's largest lead over the label in its answers to the images themselves, where the original is right."""
    scores, place = chosen.build.double(), labels[:, None]
    lead = (scores - scores.gather(1, place)).scatter(1, place, float("-inf")).amax(1)
    lead = torch.where(chosen.build.argmax(1) == labels, lead.clamp_max(_BELOW), lead)
    return torch.where(chosen.original.argmax(1) == labels, lead, float("-inf"))


def _leads(networks: Networks, images: Tensor, epsilon: int, labels: Tensor) -> Tensor:
    """Bound the build's largest lead over the label where the original is right.

    There its own lead of each class is at most what float32 rounds, so that the build's is at most that and the
    difference of both: a bound on the difference alone can prove it.
    """
    if networks.is_same:
        return torch.full((len(labels),), float("-inf"), dtype=torch.float64)
    leads, logits = networks.bounded(images, epsilon, labels)
    grid = Head(networks.joint).grid
    place = labels[:, None]
    doubt = networks.error + networks.error[labels][:, None]
    right = torch.minimum(leads.original.high, doubt)
    lead = torch.minimum(leads.build, leads.change + right)
    if grid is not None:
        lead = _rounded(lead + leads.cut, grid, networks.arithmetic.more)
    lead = _compared(lead, logits.build.magnitude, labels).scatter(1, place, float("-inf"))
    is_wrong = (leads.original.low > doubt).scatter(1, place, False).any(1)
    return torch.where(is_wrong, float("-inf"), lead.amax(1))


def _rounded(lead: Tensor, grid: Grid, more: int) -> Tensor:
    """Bound a difference of rounded logits: whole levels, fewer than one more than that of the logits."""
    levels = torch.floor(lead / grid.scale + 1 + 2 * (grid.doubt + more))
    return levels * grid.scale


def _compared(lead: Tensor, magnitude: Tensor, labels: Tensor) -> Tensor:
    """Bound the lead as float32 numbers have it; of equal scores that of the first class is the answer."""
    widened = lead + _FLOAT32 * (magnitude + magnitude.gather(1, labels[:, None]) + lead.abs())
    behind = torch.arange(lead.shape[1]) > labels[:, None]
    return torch.where(lead > 0, widened, torch.where(behind, lead.clamp_max(_BELOW), lead))
