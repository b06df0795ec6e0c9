"""One operator of both networks, and the registry of the rules by which bounds pass it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._interval import Interval
from edgerift.settings import Registry

#: Half the distance of float32 numbers next to 1, with a margin for what this bound is computed with.
_FLOAT32: Final = 2.0**-24 * (1 + 2.0**-10)
#: The constants of a formula in float32 are rounded too: so many operations more than its sum has terms.
_CONSTANTS: Final = 8
#: Numbers near zero are rounded to multiples of this.
_SMALLEST: Final = 2.0**-126


def float_error(terms: int, magnitude: Tensor) -> Tensor:
    """What float32 may be wrong by in a sum of `terms` products, in any order, whose magnitudes sum to `magnitude`."""
    return magnitude * ((terms + _CONSTANTS) * _FLOAT32) + terms * _SMALLEST


@final
@dataclass(frozen=True)
class Call:
    """An operator with the arguments that it has in the original and in the build.

    Among the arguments a :class:`Bounds` is what depends on the image, the same on both sides; a constant tensor is
    float64. `exact` says that the build computes it in whole numbers, so that nothing but its rounding at the end
    disturbs it; `bias` is the layer's bias on the grid of its sums. `disturbance` is what the build's integers may be
    wrong by before that rounding.
    """

    name: str
    function: Callable[..., Any]
    original: tuple[Any, ...]
    build: tuple[Any, ...]
    keywords: Mapping[str, Any]
    exact: bool = False
    bias: Tensor | None = None
    disturbance: float = 0.0

    def bounds(self, place: int) -> Bounds:
        """What is known of an argument; a constant is known exactly."""
        one, other = self.original[place], self.build[place]
        if isinstance(other, Bounds):
            return other
        first, second = (torch.as_tensor(value, dtype=torch.float64) for value in (one, other))
        return Bounds(*(Interval.point(value) for value in (first, second, second - first)))


Rule = Callable[[Call], Any]

OPERATORS: Final[Registry[Rule]] = Registry("operator with bounds", "edgerift.certify.operators")
"""How bounds pass an operator, by the operator's name: a call to the bounds of its result."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators by their names."""

    def register(function: Rule) -> Rule:
        for name in names:
            OPERATORS.register(name, function)
        return function

    return register
