"""Maxima and averages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._call import Call, float_error, rule
from edgerift.certify._interval import Interval

_TERM: Final = 2.0**-52


@rule("aten.max_pool1d.default", "aten.max_pool2d.default", "aten.amax.default")
def _maximum(call: Call) -> Bounds:
    """No maximum moves by more than the one of its values that moves most."""
    bounds = call.bounds(0)

    def function(values: Tensor) -> Tensor:
        result: Tensor = call.function(values, *call.build[1:])
        return result

    change = Interval(-function(-bounds.change.low), function(bounds.change.high))
    return Bounds(bounds.original.map(function), bounds.build.map(function), change).tightened()


@rule(
    "aten.avg_pool1d.default",
    "aten.avg_pool2d.default",
    "aten.adaptive_avg_pool1d.default",
    "aten.adaptive_avg_pool2d.default",
    "aten.mean.dim",
    "aten.sum.dim_IntList",
)
def _average(call: Call) -> Bounds:
    bounds = call.bounds(0)

    def function(values: Tensor) -> Tensor:
        result: Tensor = call.function(values, *call.build[1:])
        return result

    # No window holds more than the whole image.
    terms = max(1, bounds.build.low[0].numel() // bounds.build.low.shape[1])
    parts = (_averaged(part, function, terms) for part in (bounds.original, bounds.build, bounds.change))
    error = float_error(terms, function(bounds.build.magnitude))
    return Bounds(*parts).disturbed(error).tightened()


def _averaged(part: Interval, function: Callable[[Tensor], Tensor], terms: int) -> Interval:
    return part.map(function).widened(function(part.magnitude) * ((terms + 8) * _TERM))
