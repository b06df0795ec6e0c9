"""Images that another tool made, brought to whole grey levels: what a PNG file and a build can hold."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from edgerift.errors import InputError
from edgerift.measure import linf_distance

_LEVELS: Final = 255
#: A float that is nearer to a whole grey level than this is on it: arithmetic on images in [0, 1] rounds.
_SLACK: Final = 1e-3
#: Of these the first is exact, and the others hold 256 different levels.
_TYPES: Final = (torch.uint8, torch.float16, torch.float32, torch.float64)
_NEEDED: Final = "needed: uint8, whole grey levels, or float in [0,1], [N,C,H,W] with 1 or 3 channels"


class WholeLevels(NamedTuple):
    """Images uint8 `[N,C,H,W]`, and how far each was from whole grey levels before: float64 `[N]`, 0 for none."""

    images: Tensor
    moved: Tensor


def whole_levels(given: Tensor, whose: str) -> WholeLevels:
    """Round images `[N,C,H,W]`, uint8 or float in `[0,1]`, to whole grey levels.

    What the precision of the type explains counts as no distance. Raises :class:`~edgerift.errors.InputError` for
    another type, shape or range.
    """
    given = given.detach().cpu()
    if given.dtype not in _TYPES or given.ndim != 4 or given.shape[1] not in (1, 3) or 0 in given.shape:
        kind = str(given.dtype).removeprefix("torch.")
        raise InputError(f"{whose} are {kind} {list(given.shape)}; {_NEEDED}")
    if given.dtype == torch.uint8:
        return WholeLevels(given.contiguous(), torch.zeros(len(given), dtype=torch.float64))
    slack = max(_SLACK, _LEVELS * torch.finfo(given.dtype).eps)
    levels = given.double() * _LEVELS
    _require_range(levels, slack, whose)
    whole = levels.round().clamp(0, _LEVELS)
    moved = (levels - whole).abs().flatten(1).amax(1)
    return WholeLevels(whole.to(torch.uint8), torch.where(moved > slack, moved, 0.0))


def require_box(images: Tensor, clean: Tensor, epsilon: int, whose: str) -> None:
    """Raise :class:`~edgerift.errors.InputError` where uint8 images `[N,C,H,W]` leave the box around `clean`."""
    distance = linf_distance(images, clean)
    beyond = int((distance > epsilon).sum())
    if beyond:
        raise InputError(
            f"{whose} leave the epsilon of {epsilon} grey levels: {beyond} of {len(images)} do, by up to "
            f"{int(distance.max()) - epsilon}; clip them to the box, or give epsilon={int(distance.max())}"
        )


def _require_range(levels: Tensor, slack: float, whose: str) -> None:
    if not bool(levels.isfinite().all()):
        raise InputError(f"{whose} hold NaN or infinite values; {_NEEDED}")
    low, high = float(levels.min()) / _LEVELS, float(levels.max()) / _LEVELS
    if low * _LEVELS < -slack or high * _LEVELS > _LEVELS + slack:
        hint = "; for grey levels of 255 convert them to uint8" if high > 2 and low >= 0 else ""
        raise InputError(f"{whose} reach from {low:.6g} to {high:.6g}; floats are allowed from 0 to 1{hint}")
