"""Sums, differences, products and quotients."""

from __future__ import annotations

import torch

from edgerift.certify._bounds import Bounds
from edgerift.certify._call import Call, float_error, rule
from edgerift.certify._interval import Interval


@rule("aten.add.Tensor", "aten.add.Scalar", "operator.add")
def _add(call: Call) -> Bounds:
    return _sum(call, call.bounds(0), call.bounds(1))


@rule("aten.sub.Tensor", "aten.sub.Scalar", "operator.sub")
def _subtract(call: Call) -> Bounds:
    return _sum(call, call.bounds(0), _negative(call.bounds(1)))


@rule("aten.rsub.Scalar")
def _subtract_from(call: Call) -> Bounds:
    return _sum(call, call.bounds(1), _negative(call.bounds(0)))


@rule("aten.neg.default")
def _negate(call: Call) -> Bounds:
    return _negative(call.bounds(0))


@rule("aten.mul.Tensor", "aten.mul.Scalar", "operator.mul")
def _multiply(call: Call) -> Bounds:
    return _product(call, call.bounds(0), call.bounds(1))


@rule("aten.div.Tensor", "aten.div.Scalar")
def _divide(call: Call) -> Bounds:
    if isinstance(call.build[1], Bounds):
        raise ValueError("a division by what depends on the image has no bounds")
    return _product(call, call.bounds(0), _inverse(call.bounds(1)))


def _sum(call: Call, first: Bounds, second: Bounds) -> Bounds:
    if call.keywords:
        raise ValueError(f"{call.name} with {', '.join(call.keywords)} has no bounds")
    found = Bounds(
        first.original + second.original,
        first.build + second.build,
        first.change + second.change,
    )
    error = float_error(1, first.build.magnitude + second.build.magnitude)
    return found.disturbed(error + call.disturbance).tightened()


def _product(call: Call, first: Bounds, second: Bounds) -> Bounds:
    """`x_b y_b - x_o y_o = (x_b - x_o) y_b + x_o (y_b - y_o)`."""
    found = Bounds(
        first.original.times(second.original),
        first.build.times(second.build),
        first.change.times(second.build) + first.original.times(second.change),
    )
    return found.disturbed(float_error(1, first.build.magnitude * second.build.magnitude)).tightened()


def _negative(bounds: Bounds) -> Bounds:
    return Bounds(-bounds.original, -bounds.build, -bounds.change)


def _inverse(bounds: Bounds) -> Bounds:
    """One over constants."""
    original, build = (Interval.point(1 / part.low).rounded() for part in (bounds.original, bounds.build))
    if torch.equal(bounds.original.low, bounds.build.low):
        return Bounds(original, build, Interval.point(torch.zeros_like(original.low)))
    return Bounds(original, build, build - original)
