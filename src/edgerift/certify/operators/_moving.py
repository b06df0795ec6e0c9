"""Operators that move, copy or join values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._call import Call, rule
from edgerift.certify._interval import Interval

_RESHAPING = ("aten.view.default", "aten.reshape.default")


@rule(
    "aten.flatten.using_ints",
    "aten.view.default",
    "aten.reshape.default",
    "aten.permute.default",
    "aten.transpose.int",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.unsqueeze.default",
    "aten.contiguous.default",
    "aten.clone.default",
    "aten.slice.Tensor",
    "aten.select.int",
    "aten.expand.default",
    "aten.repeat.default",
    "aten.channel_shuffle.default",
    "aten.pixel_shuffle.default",
    "aten.upsample_nearest2d.vec",
)
def _move(call: Call) -> Bounds:
    # What a network views is contiguous there, and may not be here.
    function = torch.reshape if call.name in _RESHAPING else call.function
    rest = call.build[1:]
    return call.bounds(0).map(lambda values: function(values, *rest, **call.keywords))


@rule("aten.chunk.default", "aten.split.Tensor", "aten.split_with_sizes.default")
def _part(call: Call) -> list[Bounds]:
    bounds = call.bounds(0)
    pieces = [
        [call.function(values, *call.build[1:], **call.keywords) for values in (part.low, part.high)]
        for part in (bounds.original, bounds.build, bounds.change)
    ]
    original, build, change = (list(zip(*ends, strict=True)) for ends in pieces)
    return [
        Bounds(*(Interval(low, high) for low, high in three)) for three in zip(original, build, change, strict=True)
    ]


@rule("operator.getitem")
def _item(call: Call) -> Any:
    return call.build[0][call.build[1]]


@rule("aten.cat.default", "aten.stack.default")
def _join(call: Call) -> Bounds:
    if not all(isinstance(part, Bounds) for part in call.build[0]):
        raise ValueError(f"{call.name} with constants has no bounds")
    parts: list[Bounds] = call.build[0]

    def joined(values: list[Tensor]) -> Tensor:
        result: Tensor = call.function(values, *call.build[1:], **call.keywords)
        return result

    def interval(kind: str) -> Interval:
        found: list[Interval] = [getattr(part, kind) for part in parts]
        return Interval(joined([one.low for one in found]), joined([one.high for one in found]))

    return Bounds(interval("original"), interval("build"), interval("change"))


@rule("aten.constant_pad_nd.default", "aten.pad.default")
def _pad(call: Call) -> Bounds:
    bounds = call.bounds(0)
    rest = list(call.build[1:])
    is_constant = call.name == "aten.constant_pad_nd.default" or len(rest) < 2 or rest[1] == "constant"
    still = ([rest[0], 0.0] if call.name == "aten.constant_pad_nd.default" else rest[:2]) if is_constant else rest

    def padded(values: Tensor) -> Tensor:
        result: Tensor = call.function(values, *rest)
        return result

    change = bounds.change.map(lambda values: call.function(values, *still))
    return Bounds(bounds.original.map(padded), bounds.build.map(padded), change)
