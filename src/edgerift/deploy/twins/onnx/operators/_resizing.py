"""Resizing, of any two dimensions or, by nearest neighbours, of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins.onnx._builder import OPERATORS, Builder, Levels, UntranslatedError, Value
from edgerift.deploy.twins.onnx._graph import OnnxNode
from edgerift.deploy.twins.onnx.operators._moving import moved

_PLACES: Final = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
_ROUNDINGS: Final = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@OPERATORS.named("Resize")
def _resize(builder: Builder, node: OnnxNode) -> Value:
    if builder.source.opset < 11:
        return _resized(builder, node, ("asymmetric", "floor"), _numbers(builder, node, 1), ())
    if any(node.attributes.get(name) for name in ("axes", "antialias")):
        raise UntranslatedError(f"{node} resizes chosen axes, or smooths what it makes smaller")
    if node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise UntranslatedError(f"{node} keeps the aspect ratio")
    place = str(node.attributes.get("coordinate_transformation_mode", "half_pixel"))
    rounding = str(node.attributes.get("nearest_mode", "round_prefer_floor"))
    scales, sizes = _numbers(builder, node, 2), tuple(int(size) for size in _numbers(builder, node, 3))
    return _resized(builder, node, (place, rounding), scales, sizes)


@OPERATORS.named("Upsample")
def _upsample(builder: Builder, node: OnnxNode) -> Value:
    scales = _numbers(builder, node, 1) or tuple(float(scale) for scale in node.attributes.get("scales", ()))
    return _resized(builder, node, ("asymmetric", "floor"), scales, ())


def _numbers(builder: Builder, node: OnnxNode, index: int) -> tuple[float, ...]:
    return tuple(builder.constant(node, index).flatten().tolist()) if node.has(index) else ()


def _resized(
    builder: Builder, node: OnnxNode, how: tuple[str, str], scales: tuple[float, ...], sizes: tuple[int, ...]
) -> Value:
    value, mode, (place, rounding) = builder.value(node, 0), str(node.attributes.get("mode", "nearest")), how
    if mode == "nearest" and place in _PLACES and rounding in _ROUNDINGS:
        return moved(builder, value, resize_nearest, place, rounding, scales, sizes)
    if mode not in ("linear", "cubic") or place not in _PLACES:
        raise UntranslatedError(f"{node} has the mode {mode}, {place}, {rounding}")
    if isinstance(value, Levels):
        raise UntranslatedError(f"{node} interpolates 8-bit integers")
    if mode == "linear" and place != "asymmetric":
        result: Value = builder.call(resize_linear, value, place == "align_corners", scales, sizes)
        return result
    slope, inside = float(node.attributes.get("cubic_coeff_a", -0.75)), bool(node.attributes.get("exclude_outside", 0))
    cubic: Value = builder.call(interpolate, value, place, slope if mode == "cubic" else None, inside, scales, sizes)
    return cubic


def resize_nearest(value: Tensor, place: str, rounding: str, scales: Sequence[float], sizes: Sequence[int]) -> Tensor:
    """Take the nearest number of each dimension behind the batch."""
    for axis, positions in _resized_axes(value, place, scales, sizes):
        nearest = _rounded(positions, rounding).clamp(0, value.shape[axis] - 1).long()
        value = value.index_select(axis, nearest.to(value.device))
    return value


def interpolate(
    value: Tensor, place: str, slope: float | None, inside: bool, scales: Sequence[float], sizes: Sequence[int]
) -> Tensor:
    """Interpolate along each dimension behind the batch, by cubics of a slope or, without one, by lines.

    Numbers at the ends stand for those outside, or with `inside` the weights of those outside go to the others.
    """
    for axis, positions in _resized_axes(value, place, scales, sizes):
        weights = _weights(positions, value.shape[axis], slope, inside).to(value)
        value = (value.movedim(axis, -1) @ weights).movedim(-1, axis)
    return value


def _resized_axes(
    value: Tensor, place: str, scales: Sequence[float], sizes: Sequence[int]
) -> Iterator[tuple[int, Tensor]]:
    """Name each dimension that is resized, and where its numbers lie in the dimension that it was."""
    for axis in range(1, value.dim()):
        extent = value.shape[axis]
        made = sizes[axis] if sizes else int(np.float32(scales[axis]) * np.float32(extent))
        if made != extent or not (sizes or scales[axis] == 1):
            yield axis, _positions(extent, made, made / extent if sizes else scales[axis], place)


def _weights(positions: Tensor, extent: int, slope: float | None, inside: bool) -> Tensor:
    """The weight of each number of a dimension for each of the resized one, `[extent, made]`."""
    reach = (0, 1) if slope is None else (-1, 0, 1, 2)
    positions = positions.clamp(0, extent - 1) if slope is None else positions
    first, found = positions.floor(), torch.zeros(len(positions), extent)
    for offset in reach:
        place = first + offset
        weight = _line(positions - place) if slope is None else _cubic((positions - place).abs(), slope)
        if inside:
            weight = weight * ((place >= 0) & (place < extent))
        found.scatter_add_(1, place.clamp(0, extent - 1).long()[:, None], weight[:, None])
    return (found / found.sum(1, keepdim=True) if inside else found).T


def _line(distance: Tensor) -> Tensor:
    return 1 - distance.abs()


def _cubic(distance: Tensor, slope: float) -> Tensor:
    """Keys' convolution kernel within two numbers of its centre."""
    near = ((slope + 2) * distance - (slope + 3)) * distance * distance + 1
    far = ((slope * distance - 5 * slope) * distance + 8 * slope) * distance - 4 * slope
    return torch.where(distance <= 1, near, far)


def _positions(extent: int, made: int, scale: float, place: str) -> Tensor:
    """Where the numbers of a resized dimension lie in the dimension that it was."""
    whole = torch.arange(made, dtype=torch.float32)
    if place == "asymmetric":
        return whole / scale
    if place == "align_corners":
        return whole * (extent - 1) / max(1, made - 1)
    if place == "pytorch_half_pixel" and made == 1:
        return torch.zeros(1)
    return (whole + 0.5) / scale - 0.5


def _rounded(positions: Tensor, rounding: str) -> Tensor:
    if rounding == "round_prefer_floor":
        return (positions - 0.5).ceil()
    if rounding == "round_prefer_ceil":
        return (positions + 0.5).floor()
    return positions.floor() if rounding == "floor" else positions.ceil()


def resize_linear(value: Tensor, corners: bool, scales: Sequence[float], sizes: Sequence[int]) -> Tensor:
    """Interpolate between the numbers of two dimensions: the last two, or those before the last one."""
    wanted = [*sizes] if sizes else [int(extent * scale) for extent, scale in zip(value.shape, scales, strict=True)]
    is_last = wanted[1] != value.shape[1]  # What is not resized are the channels.
    turned = value.movedim(-1, 1) if is_last else value
    inner = slice(1, 3) if is_last else slice(2, 4)
    if sizes:
        made = F.interpolate(turned, size=wanted[inner], mode="bilinear", align_corners=corners)
    else:
        factors = [*scales[inner]]
        made = F.interpolate(
            turned, scale_factor=factors, mode="bilinear", align_corners=corners, recompute_scale_factor=False
        )
    return made.movedim(1, -1) if is_last else made
