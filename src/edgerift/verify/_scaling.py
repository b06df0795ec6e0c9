"""Weights that are the original's up to a factor for each output channel and one for each input channel."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from edgerift.verify._matching import Matched

_STEPS: Final = 8
#: The part of its length by which a rescaled weight may be off for its own rounding.
_CLOSE: Final = 0.1


def is_equalised(layer: Matched) -> bool:
    """Tell whether factors by channel turn the original's weight into the build's, as cross-layer equalisation does."""
    ours = layer.stored.real.flatten(2).double() if layer.stored.codes.dim() > 2 else layer.stored.real[..., None]
    theirs = layer.weight.reshape(ours.shape)
    rows, columns = _factors(ours, theirs)
    fitted = theirs * rows[:, None, None] * columns[None, :, None]
    moved = max(float((rows / rows.mean() - 1).abs().max()), float((columns - 1).abs().max()))
    near = (ours - fitted).norm() / ours.norm().clamp_min(1e-30)
    return bool(near < _CLOSE) and moved > _CLOSE and bool((rows > 0).all() and (columns > 0).all())


def _factors(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Fit factors for the output and the input channels by alternating least squares."""
    rows = torch.ones(ours.shape[0], dtype=torch.float64)
    columns = torch.ones(ours.shape[1], dtype=torch.float64)
    for _ in range(_STEPS):
        scaled = theirs * columns[None, :, None]
        rows = (ours * scaled).sum((1, 2)) / scaled.square().sum((1, 2)).clamp_min(1e-30)
        scaled = theirs * rows[:, None, None]
        columns = (ours * scaled).sum((0, 2)) / scaled.square().sum((0, 2)).clamp_min(1e-30)
    size = columns.abs().mean().clamp_min(1e-30)
    return rows * size, columns / size
