"""Convolutions, linear layers and batch normalisations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._call import Call, float_error, rule
from edgerift.certify._interval import Interval

#: Channels that differ by more are not taken for one.
_ALIKE: Final = 1e-4
#: More than float64 rounds by in the few operations of a formula.
_DOUBLE: Final = 2.0**-48
#: Operations in float32 of a batch normalisation, with its folding into a layer.
_NORMALISING: Final = 16


@rule("aten.conv1d.default", "aten.conv2d.default", "aten.linear.default")
def _layer(call: Call) -> Bounds:
    """`W_b b - W_o o = W_b (b - o) + (W_b - W_o) o`: what both layers share acts on the difference alone."""
    bounds, weights = call.bounds(0), (call.original[1], call.build[1])
    rest = call.build[3:]

    def combine(values: Tensor, weight: Tensor) -> Tensor:
        result: Tensor = call.function(values, weight, None, *rest)
        return result

    terms = weights[1][0].numel()
    unlike: Tensor | float = 0.0
    if _is_one_channel(call, bounds):
        unlike = _unlike(bounds, weights, combine)
        bounds = bounds.map(lambda values: values[:, :1])
        weights = tuple(weight.sum(1, keepdim=True) for weight in weights)
    biases = [_shaped(call, _bias(arguments)) for arguments in (call.original, call.build)]
    first, second = weights
    original = bounds.original.combined(first, combine, terms) + Interval.point(biases[0])
    added = _added(call, biases[1])
    build = bounds.build.combined(second, combine, terms) + added
    change = bounds.change.combined(second, combine, terms) + (added - Interval.point(biases[0]))
    if not torch.equal(first, second):
        change = change + bounds.original.combined(second - first, combine, terms)
    result = Bounds(original.widened(unlike), build.widened(unlike), change.widened(unlike))
    if not call.exact:
        magnitude = combine(call.bounds(0).build.magnitude, call.build[1].abs()) + biases[1].abs()
        result = result.disturbed(float_error(terms, magnitude))
    return result.tightened()


def _is_one_channel(call: Call, bounds: Bounds) -> bool:
    """Return whether a convolution reads one grey channel several times, so that its weights may be summed first."""
    if bounds.alike is None or bounds.alike > _ALIKE or call.name != "aten.conv2d.default":
        return False
    return bool(call.build[1].shape[1] == bounds.build.low.shape[1])  # In one group.


def _unlike(bounds: Bounds, weights: tuple[Tensor, ...], combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """How far a convolution of channels that are nearly alike is from that of the first with the summed weights."""
    assert bounds.alike is not None
    magnitude = sum((part.magnitude for part in (bounds.original, bounds.build, bounds.change)), torch.zeros(()))
    weight = sum((part.abs() for part in weights), torch.zeros(()))
    return combine(bounds.alike + magnitude * _DOUBLE, weight)


def _bias(arguments: tuple[Any, ...]) -> Tensor:
    given = arguments[2] if len(arguments) > 2 else None
    return torch.zeros(len(arguments[1]), dtype=torch.float64) if given is None else given


def _shaped(call: Call, bias: Tensor) -> Tensor:
    return bias if call.name == "aten.linear.default" else bias.view([-1] + [1] * (call.build[1].dim() - 2))


def _added(call: Call, bias: Tensor) -> Interval:
    """The bias that the build adds: on the grid of its sums in whole numbers, else that one or its own."""
    if call.bias is None:
        return Interval.point(bias)
    whole = _shaped(call, call.bias)
    return Interval.point(whole) if call.exact else Interval(torch.minimum(bias, whole), torch.maximum(bias, whole))


@rule("aten.batch_norm.default")
def _normalisation(call: Call) -> Bounds:
    """`y = s x + t` in each channel, with `s = weight / sqrt(variance + eps)` and `t = bias - mean s`."""
    bounds = call.bounds(0)
    (scale, shift, _), (other, moved, parts) = (_line(call, arguments) for arguments in (call.original, call.build))
    original = bounds.original.scaled(scale) + Interval.point(shift)
    build = bounds.build.scaled(other) + Interval.point(moved)
    change = bounds.change.scaled(other) + bounds.original.scaled(other - scale) + Interval.point(moved - shift)
    magnitude = bounds.build.magnitude * other.abs() + parts
    found = Bounds(original.widened(magnitude * _DOUBLE), build, change)
    return found.disturbed(float_error(_NORMALISING, magnitude)).tightened()


def _line(call: Call, arguments: tuple[Any, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Slope and shift of a normalisation, and the magnitude of what the shift is computed from."""
    _, weight, bias, mean, variance, training, _, eps, *_ = arguments
    if training:
        raise ValueError("a batch normalisation that follows the batch has no bounds")
    slope = (torch.ones_like(mean) if weight is None else weight) / (variance + eps).sqrt()
    added = torch.zeros_like(mean) if bias is None else bias
    extent = [-1] + [1] * (call.bounds(0).build.low.dim() - 2)
    shift, parts = added - mean * slope, added.abs() + (mean * slope).abs()
    return slope.view(extent), shift.view(extent), parts.view(extent)
