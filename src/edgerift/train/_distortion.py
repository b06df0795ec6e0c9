"""Heavy augmentation: images that are turned, scaled, sheared, shifted, changed in tone, and covered in part."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

#: What an image may undergo at the full strength, to both sides: radians, logarithm of a scale, slope, share of a side.
_TURN: Final = math.radians(30)
_SCALE: Final = math.log(1.25)
_SHEAR: Final = 0.3
_SHIFT: Final = 0.125
#: The largest change of brightness and of contrast, and the side of the covered square as a share of the image's.
_TONE: Final = 0.5
_COVER: Final = 0.5
_DRAWS: Final = 10


def distort(images: Tensor, strength: float, draws: torch.Generator) -> Tensor:
    """Distort each of float images `[B,C,H,W]` in [0, 1] in a way of its own, as strongly as `strength` in [0, 1] says.

    At 1 an image is turned by up to 30 degrees, scaled by up to a quarter, sheared by up to 0.3 and shifted by up to
    an eighth of its size, each uniformly and to either side; brightness and contrast change by up to a half; and a
    square of up to half of its side is covered with its mean grey. What comes in from outside is black. All of it
    shrinks with the strength, and at 0 the images are given back as they are. `draws` lies on the CPU.
    """
    if strength == 0:
        return images
    drawn = torch.rand(_DRAWS, len(images), generator=draws).to(images.device, images.dtype)
    turn, scale, shear, right, down, bright, contrast = strength * (2 * drawn[:7] - 1)
    moved = moved_by(images, _TURN * turn, (_SCALE * scale).exp(), _SHEAR * shear, _SHIFT * right, _SHIFT * down)
    toned = _toned(moved, 1 + _TONE * bright, 1 + _TONE * contrast)
    return _covered(toned, strength * _COVER * drawn[7], drawn[8], drawn[9])


def moved_by(images: Tensor, turn: Tensor, scale: Tensor, shear: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Turn by radians, scale, shear and shift by shares of a side, about the middle; each argument is `[B]`."""
    height, width = images.shape[2:]
    cosine, sine, aspect = turn.cos() / scale, turn.sin() / scale, height / width
    # From a place in the result to the place that it shows, in units of half a side.
    rows = (
        torch.stack([cosine, (shear * cosine - sine) * aspect, -2 * right], 1),
        torch.stack([sine / aspect, shear * sine + cosine, -2 * down], 1),
    )
    places = F.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return F.grid_sample(images, places, mode="bilinear", padding_mode="zeros", align_corners=False)


def _toned(images: Tensor, bright: Tensor, contrast: Tensor) -> Tensor:
    mean = images.mean((1, 2, 3), keepdim=True)
    factor, stretch = bright[:, None, None, None], contrast[:, None, None, None]
    return (factor * (mean + stretch * (images - mean))).clamp(0, 1)


def _covered(images: Tensor, side: Tensor, across: Tensor, along: Tensor) -> Tensor:
    height, width = images.shape[2:]
    rows = (torch.arange(height, device=images.device) + 0.5) / height
    columns = (torch.arange(width, device=images.device) + 0.5) / width
    inside_rows = (rows - along[:, None]).abs() <= side[:, None] / 2
    inside_columns = (columns - across[:, None]).abs() <= side[:, None] / 2
    inside = (inside_rows[:, :, None] & inside_columns[:, None, :])[:, None]
    return torch.where(inside, images.mean((1, 2, 3), keepdim=True), images)
