"""The walk of bounds through both networks at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import torch
from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._box import Box
from edgerift.certify._call import OPERATORS, Call
from edgerift.certify._plan import DEQUANTIZE, Plan, Step, Value
from edgerift.certify._rounding import Grid, rounded
from edgerift.errors import ModelError, first_line

_SIZE: Final = "aten.sym_size.int"
#: Operators that compute each value from one value.
_POINTWISE: Final = frozenset(
    {
        *(f"aten.{name}.{kind}" for name in ("add", "sub", "mul", "div") for kind in ("Tensor", "Scalar")),
        *("aten.rsub.Scalar", "aten.neg.default", "aten.relu.default", "aten.hardtanh.default"),
        *("aten.clamp.default", "aten.clamp_min.default"),
    }
)
#: An addition in fixed point is wrong by less than this share of the larger scale: two multipliers of 20 bits on levels
#: up to 255; so is one in float32 with fused multiply-adds.
_ADDED: Final = 2.0**-11


@final
@dataclass(frozen=True)
class Arithmetic:
    """How a build computes: `exact` operators in whole numbers, each rounding correct up to `more` levels.

    `biases` are those on the grid of a layer's sums, by the layer's name; `scales` the larger scale of what an addition
    among the exact operators adds.
    """

    exact: Collection[str] = ()
    biases: Mapping[str, Tensor] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    more: int = 0


@dataclass(frozen=True)
class _Palette:
    """Values that depend on one grey level each, `[256,C,1,1]`."""

    bounds: Bounds


def walk(plan: Plan, box: Box, arithmetic: Arithmetic, wanted: Collection[str]) -> dict[str, Bounds]:
    """Bound the values of both networks for all images of a box; returns those whose names are `wanted`.

    Raises :class:`~edgerift.errors.ModelError` for an operator without a rule.
    """
    walking = _Walk(plan, box, arithmetic)
    last = {name: index for index, step in enumerate(plan.steps) for name in step.reads}
    for index, step in enumerate(plan.steps):
        walking.take(step)
        for name in step.reads:
            if last[name] == index and name not in wanted:
                walking.values.pop(name, None)
    return {name: walking.bounds(name) for name in wanted}


class _Walk:
    def __init__(self, plan: Plan, box: Box, arithmetic: Arithmetic) -> None:
        self._box, self._arithmetic = box, arithmetic
        self._grids: dict[str, Grid] = {}
        self.values: dict[str, Any] = {plan.images: _Palette(box.palette())}

    def bounds(self, name: str) -> Any:
        """The value of a name for every pixel of the box."""
        value = self.values[name]
        if isinstance(value, _Palette):
            value = self.values[name] = self._box.bounds(value.bounds)
        return value

    def take(self, step: Step) -> None:
        if step.operator == _SIZE:
            self.values[step.name] = self._size(step)
            return
        is_palette = self._stays_palette(step)
        try:
            found = self._rounded(step, is_palette) if step.rounds else self._computed(step, is_palette)
        except ValueError as error:
            raise ModelError(f"no certificate for '{step.name}': {first_line(error)}") from None
        self.values[step.name] = _Palette(found) if is_palette else found

    def _size(self, step: Step) -> int:
        value = self.values[step.build[0].name]
        shape = self._box.shape if isinstance(value, _Palette) else value.build.low.shape
        return int(shape[step.build[1]])

    def _stays_palette(self, step: Step) -> bool:
        if not step.rounds and step.operator not in _POINTWISE:
            return False
        given = [self.values[name] for name in step.reads]
        constants = [value for value in (*step.original, *step.build) if isinstance(value, Tensor)]
        return all(isinstance(value, _Palette) for value in given) and all(map(_is_per_channel, constants))

    def _rounded(self, step: Step, is_palette: bool) -> Bounds:
        source: str = step.build[0].name
        bounds = self._filled(step.build[0], is_palette)
        grid = Grid(step.build, dict(step.keywords))
        if step.operator == DEQUANTIZE:
            if self._grids.get(source) != grid:
                raise ValueError("what is dequantized is on another grid")
            found: Bounds = bounds
            return found
        self._grids[step.name] = grid
        return rounded(bounds, grid, self._arithmetic.more)

    def _computed(self, step: Step, is_palette: bool) -> Any:
        if not any(isinstance(self.values[name], Bounds | _Palette | list) for name in step.reads):
            return step.function(*(self._filled(value, is_palette) for value in step.build))
        if step.operator not in OPERATORS:
            raise ValueError(f"the operator {step.operator} has no bounds")
        arithmetic = self._arithmetic
        scale = arithmetic.scales.get(step.name, 0.0) if step.name in arithmetic.exact else 0.0
        call = Call(
            name=step.operator,
            function=step.function,
            original=tuple(None if isinstance(value, Value) else value for value in step.original),
            build=tuple(self._filled(value, is_palette) for value in step.build),
            keywords=step.keywords,
            exact=step.name in arithmetic.exact,
            bias=arithmetic.biases.get(step.name),
            disturbance=_ADDED * scale,
        )
        return OPERATORS[step.operator](call)

    def _filled(self, argument: Any, is_palette: bool) -> Any:
        if isinstance(argument, list):
            return [self._filled(value, is_palette) for value in argument]
        if not isinstance(argument, Value):
            return argument
        if is_palette:
            return self.values[argument.name].bounds
        return self.bounds(argument.name)


def _is_per_channel(constant: Tensor) -> bool:
    return constant.numel() == 1 or (constant.dim() in (3, 4) and constant.shape[-2:] == torch.Size([1, 1]))
