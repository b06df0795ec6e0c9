"""Resizing of height and width."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy.twins._straight_through import clipped, passing_range
from edgerift.deploy.twins.tflite._builder import OPERATORS, Builder, Real
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError
from edgerift.deploy.twins.tflite._through import Clip, Passing, through
from edgerift.deploy.twins.tflite.operators._moving import moved, require_same_grid


class Places(NamedTuple):
    """Between which two places of a dimension each of a resized one lies, and how near to the second."""

    lower: Tensor
    upper: Tensor
    weight: Tensor


@OPERATORS.named("RESIZE_NEAREST_NEIGHBOR")
def _nearest(builder: Builder, operator: TfliteOperator) -> Real:
    given, sizes = _sizes(builder, operator)
    rows, columns = (_nearest_places(builder, operator, *pair) for pair in zip(given, sizes, strict=True))
    return moved(builder, operator, chosen, rows, columns)


def chosen(value: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Choose rows and columns of [N,H,W,C]."""
    return value.index_select(1, rows).index_select(2, columns)


def _nearest_places(builder: Builder, operator: TfliteOperator, extent: int, made: int) -> Tensor:
    corners, centred = _modes(operator)
    places = np.arange(made, dtype=np.float32) + np.float32(0.5 if centred else 0.0)
    scaled = places * _scale(extent, made, corners)
    rounded = np.floor(scaled + np.float32(0.5)) if corners else np.floor(scaled)
    return torch.from_numpy(np.clip(rounded, 0, extent - 1).astype(np.int64))


def _modes(operator: TfliteOperator) -> tuple[bool, bool]:
    return bool(operator.options.get("AlignCorners", False)), bool(operator.options.get("HalfPixelCenters", False))


def _scale(extent: int, made: int, corners: bool) -> np.float32:
    if corners and made > 1:
        return np.float32(np.float32(extent - 1) / np.float32(made - 1))
    return np.float32(np.float32(extent) / np.float32(made))


def _sizes(builder: Builder, operator: TfliteOperator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Read the height and width before and after."""
    given, made = builder.tensor(operator).shape, builder.whole(operator, 1)
    if len(given) != 4 or len(made) != 2 or min(made) < 1:
        raise UntranslatedError(f"{operator} resizes {list(given)} to {list(made)}")
    if builder.result(operator).shape[1:] != (*made, given[3]):
        raise UntranslatedError(f"{operator} makes {list(made)}, and the file says {builder.result(operator).shape}")
    return (given[1], given[2]), (made[0], made[1])


@OPERATORS.named("RESIZE_BILINEAR")
def _bilinear(builder: Builder, operator: TfliteOperator) -> Real:
    given, sizes = _sizes(builder, operator)
    require_same_grid(builder, operator)
    quantized = builder.is_quantized(operator)
    whole = quantized and builder.kernels != "default"
    if whole and builder.grid(operator).minimum == 0:
        raise UntranslatedError(f"{operator} interpolates uint8 in kernels that compute it in float")
    find = _whole_places if whole else _real_places
    places = [find(operator, extent, made) for extent, made in zip(given, sizes, strict=True)]
    if not quantized:
        return builder.call(interpolate, builder.value(operator), *map(list, places))
    bits = 10 if whole else 11
    scaled = [list(found._replace(weight=(found.weight * (1 << bits)).round().long())) for found in places]
    grid = builder.result_grid(operator)
    bounds = clipped(grid, None, None), passing_range(grid, None, None)
    zero = grid.zero_point
    return builder.call(interpolate_levels, builder.value(operator), *scaled, bits, whole, zero, *bounds)


def _real_places(operator: TfliteOperator, extent: int, made: int) -> Places:
    corners, centred = _modes(operator)
    scale, places = _scale(extent, made, corners), np.arange(made, dtype=np.float32)
    found = places * scale
    if centred and not corners:
        found = found + (np.float32(0.5) * scale - np.float32(0.5))
    found = np.clip(found, 0, extent - 1).astype(np.float32)
    lower = np.floor(found)
    return _as_places(lower, np.minimum(lower + 1, extent - 1), found - lower)


def _whole_places(operator: TfliteOperator, extent: int, made: int) -> Places:
    """The same with 10 bits behind the point."""
    corners, centred = _modes(operator)
    unit = 1 << 10
    less = 1 if corners and made > 1 else 0
    step = (unit * (extent - less) + (made - less) // 2) // (made - less)
    places = np.arange(made) * step + (step // 2 - unit // 2 if centred else 0)
    lower = np.maximum(np.trunc(places / unit), 0)
    upper = np.minimum(np.trunc((places + unit - 1) / unit), extent - 1)
    return _as_places(lower, upper, (places - unit * lower) / unit)


def _as_places(lower: Any, upper: Any, weight: Any) -> Places:
    first, second = (torch.from_numpy(np.asarray(part, np.int64)) for part in (lower, upper))
    return Places(first, second, torch.from_numpy(np.asarray(weight, np.float32)))


def interpolate(value: Tensor, rows: list[Tensor], columns: list[Tensor]) -> Tensor:
    """Interpolate rows and columns of [N,H,W,C]."""
    return _between(_between(value, rows, 1, 1.0), columns, 2, 1.0)


def _between(value: Tensor, places: list[Tensor], axis: int, unit: Any) -> Tensor:
    lower, upper, weight = places
    shape = [1] * value.dim()
    shape[axis] = -1
    share = weight.reshape(shape)
    mixed: Tensor = value.index_select(axis, lower) * (unit - share) + value.index_select(axis, upper) * share
    return mixed


def interpolate_levels(
    value: Tensor,
    rows: list[Tensor],
    columns: list[Tensor],
    bits: int,
    away: bool,
    zero: int,
    clip: Clip,
    passing: Passing,
) -> Tensor:
    """Interpolate with whole weights; the optimised kernels round the integers themselves, half away from zero."""
    unit = 1 << bits
    real = _between(_between(value, rows, 1, unit), columns, 2, unit) / unit**2
    whole = value.detach().long() + (zero if away else 0)
    total = _between(_between(whole, rows, 1, unit), columns, 2, unit)
    half = unit**2 // 2
    if away:
        added = total + torch.where(total > 0, half, -half)
        rounded = torch.div(added, unit**2, rounding_mode="trunc") - zero
    else:
        rounded = (total + half) >> (2 * bits)
    return through(real, rounded, clip, passing)
