"""ReLUs and clamps."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._call import Call, rule
from edgerift.certify._interval import Interval

_DOUBLE: Final = 2.0**-50


@rule(
    "aten.relu.default",
    "aten.relu6.default",
    "aten.hardtanh.default",
    "aten.clamp.default",
    "aten.clamp_min.default",
)
def _clamp(call: Call) -> Bounds:
    low, high = _ends(call)
    bounds = call.bounds(0)
    within = _Clamp(low, high)
    change = within.changes(bounds.original, bounds.change)
    return Bounds(bounds.original.map(within), bounds.build.map(within), change).tightened()


def _ends(call: Call) -> tuple[float, float]:
    if call.name == "aten.relu.default":
        return 0.0, float("inf")
    if call.name == "aten.relu6.default":
        return 0.0, 6.0
    defaults = (-1.0, 1.0) if call.name == "aten.hardtanh.default" else (None, None)
    low, high = (*call.build[1:], *defaults[len(call.build) - 1 :])[:2]
    return float("-inf") if low is None else float(low), float("inf") if high is None else float(high)


class _Clamp:
    """The function `clamp(x, low, high)`, and what a step of its argument does to its value."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, values: Tensor) -> Tensor:
        return values.clamp(self.low, self.high)

    def changes(self, start: Interval, step: Interval) -> Interval:
        """Bound `clamp(x + d) - clamp(x)` over x in `start` and d in `step`; it rises with d."""
        moved = Interval(start.low + step.low, start.high + step.low)
        low, high = -self._largest(moved, -step.low), self._largest(start, step.high)
        slack = (start.magnitude + step.magnitude) * _DOUBLE
        # A step of zero changes nothing, whatever is rounded.
        return Interval(low - slack * (step.low != 0), high + slack * (step.high != 0))

    def _largest(self, start: Interval, step: Tensor) -> Tensor:
        """The largest change by a known step: forwards at the plateau, backwards at one of the ends."""
        plateau = (self.high - step).clamp(max=self.low)
        best = torch.minimum(torch.maximum(start.low, plateau), start.high)
        ends = torch.maximum(self._change(start.low, step), self._change(start.high, step))
        return torch.where(step >= 0, self._change(best, step), ends)

    def _change(self, value: Tensor, step: Tensor) -> Tensor:
        return self(value + step) - self(value)
