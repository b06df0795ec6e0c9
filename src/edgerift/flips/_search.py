"""Progressive bit search: the gradient ranks the bits, the loss judges the best of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from edgerift.deploy import Program, coded_twin, weight_codes
from edgerift.errors import InputError
from edgerift.flips._flip import BITS, Flip, code_changes
from edgerift.images import to_float


class Found(NamedTuple):
    """The flip that a round keeps, and the best flip of each layer that has one which raises the loss."""

    flip: Flip
    by_layer: dict[str, Flip]


def search_bits(
    program: Program, images: Tensor, labels: Tensor, *, candidates: int = 5, target_class: int | None = None
) -> Iterator[Found]:
    """Search round by round for the bit whose flip raises the loss of uint8 images `[N,C,H,W]` most, without an end.

    The loss is the cross-entropy of the labels int64 `[N]`, or with a `target_class` that of this class, negated. Each
    round starts from the flips before it. The search ends where no flip raises the loss. Raises
    :class:`~edgerift.errors.InputError` without images, or for a program without int8 weights.
    """
    if len(images) == 0 or not weight_codes(program):
        raise InputError("a search for bit flips needs at least one image and a program with int8 weights")
    bits = _Bits(program, images, labels, target_class)
    while True:
        found = bits.best(candidates)
        if found is None:
            return
        bits.flip(found.flip)
        yield found


class _Bits:
    """A program's codes under attack."""

    def __init__(self, program: Program, images: Tensor, labels: Tensor, target_class: int | None) -> None:
        self._twin = coded_twin(program)
        self._images = to_float(images)
        self._labels = labels if target_class is None else torch.full_like(labels, target_class)
        self._sign = 1 if target_class is None else -1

    def flip(self, flip: Flip) -> None:
        """Flip a bit for good."""
        self._set(flip.layer, flip.place, flip.after)

    def best(self, candidates: int) -> Found | None:
        """Try the most promising flips of every layer, more of them until one raises the loss."""
        before, gains = self._gains()
        most = max(len(gain) for gain in gains.values())
        while True:
            by_layer = {}
            for layer, gain in gains.items():
                tried = [self._tried(layer, int(number)) for number in _promising(gain, candidates)]
                risen = [flip for flip in tried if flip.loss > before]
                if risen:
                    by_layer[layer] = max(risen, key=lambda flip: flip.loss)
            if by_layer:
                return Found(max(by_layer.values(), key=lambda flip: flip.loss), by_layer)
            if candidates >= most:
                return None
            candidates *= 4

    def _gains(self) -> tuple[float, dict[str, Tensor]]:
        """Estimate to first order what every flip adds to the loss: `[8 n]` for each layer."""
        codes = self._twin.codes
        loss = self._loss()
        slopes = torch.autograd.grad(loss, list(codes.values()))
        gains = {}
        for (layer, levels), slope in zip(codes.items(), slopes, strict=True):
            changes = code_changes(levels.detach().flatten().to(torch.int8))
            gains[layer] = (slope.flatten()[:, None] * changes).flatten()
        return float(loss.detach()), gains

    def _tried(self, layer: str, number: int) -> Flip:
        place, bit = divmod(number, BITS)
        before = int(self._twin.codes[layer].detach().flatten()[place])
        after = before + int(code_changes(torch.tensor(before, dtype=torch.int8))[bit])
        self._set(layer, place, after)
        with torch.no_grad():
            loss = float(self._loss())
        self._set(layer, place, before)
        return Flip(layer=layer, place=place, bit=bit, before=before, after=after, loss=loss)

    def _set(self, layer: str, place: int, code: int) -> None:
        levels = self._twin.codes[layer].data
        # The weights of convolutions lie in channels-last order.
        levels[torch.unravel_index(torch.tensor(place), levels.shape)] = code

    def _loss(self) -> Tensor:
        return self._sign * F.cross_entropy(self._twin(self._images), self._labels)


def _promising(gain: Tensor, candidates: int) -> list[int]:
    """Number the flips that promise most, of those that promise anything; the whole layer where candidates suffice."""
    if candidates >= len(gain):
        return list(range(len(gain)))
    found = gain.topk(candidates)
    return [int(place) for place, value in zip(found.indices, found.values, strict=True) if value > 0]
