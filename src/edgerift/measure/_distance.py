"""Distances of two sets of images, per image."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.errors import InputError
from edgerift.images import batch_of, shape_of

#: Constants of Wang et al.: the window's extent and deviation in pixels, K1, K2 and the range L of grey levels.
_WINDOW: Final = 11
_SIGMA: Final = 1.5
_K1: Final = 0.01
_K2: Final = 0.03
_RANGE: Final = 255
#: How many images are compared at once.
_AT_ONCE: Final = 64


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Measure the structural similarity of images, float64 `[N]` in [-1, 1]; 1 for equal images.

    Both are uint8 `[N,C,H,W]`. With m, v and c the means, variances and covariance under a Gaussian window of 11x11
    pixels and deviation 1.5 it is (2 m1 m2 + C1)(2 c + C2) / ((m1^2 + m2^2 + C1)(v1 + v2 + C2)), C1 = (0.01 * 255)^2
    and C2 = (0.03 * 255)^2, averaged over the places where the window lies inside the image and over the channels:
    Wang et al., https://doi.org/10.1109/TIP.2003.819861. For smaller images the window is the largest odd one that
    fits. Raises `InputError` for images that are not uint8, of four dimensions and of one shape.

    >>> black, white = torch.zeros(1, 3, 16, 16, dtype=torch.uint8), torch.full((1, 3, 16, 16), 255, dtype=torch.uint8)
    >>> ssim(black, black), ssim(black, white) < 0.001
    (tensor([1.], dtype=torch.float64), tensor([True]))
    """
    _check(first, second)
    few = batch_of(shape_of(first), _AT_ONCE)
    return torch.cat([_similarity(*pair) for pair in zip(first.split(few), second.split(few), strict=True)])


def _similarity(first: Tensor, second: Tensor) -> Tensor:
    down, across = (_window(extent).to(first.device) for extent in first.shape[2:])
    one, two = (images.double().flatten(0, 1)[:, None] for images in (first, second))

    def averaged(values: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(values, down[None, None, :, None]), across[None, None, None])

    mean_one, mean_two = averaged(one), averaged(two)
    # Var(x) = E(x^2) - E(x)^2 is accurate enough: in float64 the squares of grey levels are exact.
    variance_one, variance_two = averaged(one * one) - mean_one**2, averaged(two * two) - mean_two**2
    covariance = averaged(one * two) - mean_one * mean_two
    luminance_constant, structure_constant = (_K1 * _RANGE) ** 2, (_K2 * _RANGE) ** 2
    above = (2 * mean_one * mean_two + luminance_constant) * (2 * covariance + structure_constant)
    below = (mean_one**2 + mean_two**2 + luminance_constant) * (variance_one + variance_two + structure_constant)
    quality: Tensor = (above / below).flatten(1).unflatten(0, first.shape[:2])
    return quality.mean((1, 2))


def l2_distance(first: Tensor, second: Tensor) -> Tensor:
    """Measure the Euclidean distance of images in grey levels, float64 `[N]`; both are uint8 `[N,C,H,W]`.

    Raises as `ssim` does.

    >>> one = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    >>> l2_distance(one, one + 3)
    tensor([6.], dtype=torch.float64)
    """
    return _difference(first, second).double().square().sum(1).sqrt()


def linf_distance(first: Tensor, second: Tensor) -> Tensor:
    """Measure the largest change of any pixel in grey levels, int64 `[N]` in [0, 255]; both are uint8 `[N,C,H,W]`.

    Raises as `ssim` does.

    >>> one = torch.zeros(1, 1, 2, 2, dtype=torch.uint8)
    >>> linf_distance(one, one + 3)
    tensor([3])
    """
    return _difference(first, second).abs().amax(1)


def _difference(first: Tensor, second: Tensor) -> Tensor:
    _check(first, second)
    return (first.long() - second.long()).flatten(1)


def _window(extent: int) -> Tensor:
    """The weights `[W]` of a window along an axis of that many pixels; they add up to 1."""
    size = min(_WINDOW, extent - (extent + 1) % 2)
    offsets = torch.arange(size, dtype=torch.float64) - size // 2
    weights = torch.exp(-(offsets**2) / (2 * _SIGMA**2))
    return weights / weights.sum()


def _check(first: Tensor, second: Tensor) -> None:
    for images in (first, second):
        if images.dtype != torch.uint8 or images.dim() != 4 or 0 in images.shape[1:]:
            kind = str(images.dtype).removeprefix("torch.")
            raise InputError(f"images of type {kind} and shape {list(images.shape)}; needed: uint8 [N, C, H, W]")
    if first.shape != second.shape:
        raise InputError(f"images of shapes {list(first.shape)} and {list(second.shape)} cannot be compared")
