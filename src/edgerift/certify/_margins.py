"""Bounds on how far one class can lead another, from the last linear layer's rows and not from its results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._call import float_error
from edgerift.certify._interval import Interval
from edgerift.certify._plan import QUANTIZE, Plan, Step, Value
from edgerift.certify._rounding import Grid
from edgerift.certify._walk import Arithmetic

_LINEAR: Final = "aten.linear.default"
_TERM: Final = 2.0**-52


@final
@dataclass(frozen=True)
class Leads:
    """Bounds `[N,K]` on the lead of each class over an image's label: logit of the class less that of the label.

    `original` is what the original's lead can be, `build` the build's at most, `change` at most the build's less the
    original's, each before the build rounds its logits. `cut` is what clipping may add to the build's lead afterwards.
    """

    original: Interval
    build: Tensor
    change: Tensor
    cut: Tensor


@final
class Head:
    """The end of a plan: the linear layer that makes the logits, if one does, and the grid that they are rounded to."""

    def __init__(self, plan: Plan) -> None:
        """Find the layer and the grid."""
        steps = {step.name: step for step in plan.steps}
        self._logits = plan.logits
        self.grid: Grid | None = None
        name = plan.logits
        while name in steps and steps[name].rounds:
            step = steps[name]
            if step.operator == QUANTIZE and self.grid is not None:
                break  # What was rounded before is rounded again.
            if step.operator == QUANTIZE:
                self.grid = Grid(step.build, dict(step.keywords))
            name = step.build[0].name
        self._unrounded = name
        layer = steps.get(name)
        self._layer: Step | None = layer if layer is not None and layer.operator == _LINEAR else None

    @property
    def wanted(self) -> set[str]:
        """The values that the bounds on leads are computed from."""
        return {self._logits, self._unrounded} | (set() if self._layer is None else {_source(self._layer)})

    def logits(self, found: dict[str, Bounds]) -> Bounds:
        """What is known of the logits `[N,K]`."""
        return found[self._logits]

    def leads(self, found: dict[str, Bounds], labels: Tensor, arithmetic: Arithmetic) -> Leads:
        """Bound the leads over the labels `[N]`."""
        bounds = found[self._unrounded]
        parts = [_apart(part, labels) for part in (bounds.original, bounds.build, bounds.change)]
        if self._layer is not None and found[_source(self._layer)].build.low.dim() == 2:
            rows = _Rows(self._layer, arithmetic)
            others = rows.leads(found[_source(self._layer)], labels)
            parts = [part.within(other) for part, other in zip(parts, others, strict=True)]
        original, build, change = parts
        return Leads(original, build.high, change.high, self._cut(bounds.build, labels))

    def _cut(self, build: Interval, labels: Tensor) -> Tensor:
        """Clipping raises a class that lies below the grid, and lowers a label that lies above it."""
        if self.grid is None:
            return torch.zeros_like(build.low)
        raised = (self.grid.clipped(build.low) - build.low).clamp_min(0)
        lowered = (build.high - self.grid.clipped(build.high)).clamp_min(0)
        return raised + lowered.gather(1, labels[:, None])


def _source(layer: Step) -> str:
    value: Any = layer.build[0]
    assert isinstance(value, Value)
    return value.name


def _apart(part: Interval, labels: Tensor) -> Interval:
    """Bound leads by the logits' own intervals."""
    place = labels[:, None]
    return part - part.map(lambda values: values.gather(1, place))


class _Rows:
    """The last layer in both networks, whose rows are subtracted from each other before they meet the features."""

    def __init__(self, layer: Step, arithmetic: Arithmetic) -> None:
        self._weights = layer.original[1], layer.build[1]
        biases = [arguments[2] if len(arguments) > 2 else None for arguments in (layer.original, layer.build)]
        first, second = (torch.zeros(len(self._weights[1])).double() if bias is None else bias for bias in biases)
        whole = arithmetic.biases.get(layer.name, second)
        self._exact = layer.name in arithmetic.exact
        ends = whole if self._exact else second
        self._original = Interval.point(first)
        self._build = Interval(torch.minimum(ends, whole), torch.maximum(ends, whole))

    def leads(self, features: Bounds, labels: Tensor) -> list[Interval]:
        shape = len(labels), len(self._weights[0])
        found = [Interval(*(torch.empty(shape, dtype=torch.float64) for _ in range(2))) for _ in range(3)]
        for label in labels.unique().tolist():
            chosen = labels == label
            for result, part in zip(found, self._over(_of(features, chosen), label), strict=True):
                result.low[chosen], result.high[chosen] = part.low, part.high
        return found

    def _over(self, features: Bounds, label: int) -> tuple[Interval, Interval, Interval]:
        first, second = self._weights
        original = _lead(features.original, first, label, self._original)
        build = _lead(features.build, second, label, self._build)
        shift = self._build - self._original
        change = _lead(features.change, second, label, shift) + _lead(features.original, second - first, label, None)
        other = _lead(features.change, first, label, shift) + _lead(features.build, second - first, label, None)
        error = self._error(features, label)
        return original, build.widened(error), change.within(other).widened(error)

    def _error(self, features: Bounds, label: int) -> Tensor | float:
        if self._exact:
            return 0.0
        weight = self._weights[1].abs()
        magnitude = features.build.magnitude @ weight.T + self._build.magnitude
        error = float_error(weight.shape[1], magnitude)
        return error + error[:, label, None]


def _lead(values: Interval, weight: Tensor, label: int, bias: Interval | None) -> Interval:
    """Bound `(W_k - W_label) x + b_k - b_label` for each class k."""
    rows = weight - weight[label]
    lead = values.combined(rows, _product, weight.shape[1])
    # The subtraction of two rows is rounded.
    lead = lead.widened(_product(values.magnitude, weight.abs() + weight[label].abs()) * _TERM)
    if bias is None:
        return lead
    return lead + (bias - Interval(bias.low[label], bias.high[label]))


def _product(values: Tensor, weight: Tensor) -> Tensor:
    return values @ weight.T


def _of(bounds: Bounds, chosen: Tensor) -> Bounds:
    return bounds.map(lambda values: values[chosen])
