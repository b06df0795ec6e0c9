"""The twin that rounds as XNNPACK's integer kernels do, which ExecuTorch runs on phones."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from torch import Tensor, fx

from edgerift.deploy.program._grid import Grid, grid_of
from edgerift.deploy.program._operators import ADAPTIVE_AVERAGE, ADD, MEAN, MULTIPLY, SUBTRACT
from edgerift.deploy.program._program import Program
from edgerift.deploy.program._regions import Region
from edgerift.deploy.program._spelling import runtime_form
from edgerift.deploy.twins._body import Body
from edgerift.deploy.twins._integer_twin import Clip, Kernels, Passing, integer_twin, keeps_extent, rounding
from edgerift.deploy.twins._straight_through import QuantizeLevels, add_fixed_point, requantize
from edgerift.deploy.twins._translation import Translation

#: XNNPACK keeps this many bits of the larger of an addition's two multipliers.
_ADD_BITS: Final = 20


def xnnpack_twin(program: Program) -> Body:
    """Translate a program into XNNPACK's arithmetic; what XNNPACK does not run in integers stays in float."""
    operators = {ADD: _add, SUBTRACT: _subtract, ADAPTIVE_AVERAGE: _mean, MEAN: _mean, MULTIPLY: _multiply}
    return integer_twin(program, Kernels(_quantize, operators), runtime_form(program))


def _quantize(twin: Translation, grid: Grid, value: fx.Node) -> fx.Node:
    return twin.apply(QuantizeLevels(grid), value)


def _add(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    first, second = (grid_of(node) for node in region.inputs)
    multipliers, shift = add_multipliers(first, second, region.grid)
    return twin.call(add_fixed_point, *inputs, multipliers, shift, *rounding(region))


def _subtract(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    """XNNPACK adds with the second multiplier below zero."""
    first, second = (grid_of(node) for node in region.inputs)
    (one, two), shift = add_multipliers(first, second, region.grid)
    return twin.call(add_fixed_point, *inputs, (one, -two), shift, *rounding(region))


def _multiply(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    first, second = (np.float32(grid_of(node).scale) for node in region.inputs)
    factor = twin.constant(torch.tensor(float(first * second / np.float32(region.grid.scale))))
    return twin.call(requantize, twin.call(torch.mul, *inputs), factor, *rounding(region))


def _mean(twin: Translation, region: Region, inputs: list[fx.Node]) -> fx.Node:
    ratio = twin.constant(torch.tensor(_ratio(grid_of(region.inputs[0]).scale, region.grid.scale)))
    zero = region.grid.zero_point
    return twin.call(_requantize_mean, inputs[0], ratio, keeps_extent(region), *rounding(region), zero)


def _ratio(numerator: float, denominator: float) -> float:
    return float(np.float32(numerator) / np.float32(denominator))


def _requantize_mean(levels: Tensor, ratio: Tensor, keep: bool, clip: Clip, passing: Passing, zero: int) -> Tensor:
    sums = levels.sum((2, 3), keepdim=keep)
    return requantize(sums, ratio / (levels.shape[2] * levels.shape[3]), clip, passing, zero)


def add_multipliers(first: Grid, second: Grid, result: Grid) -> tuple[tuple[int, int], int]:
    """Derive the fixed-point multipliers and the shift of XNNPACK's int8 addition.

    The larger of the two ratios `scale_in / scale_out` keeps 20 bits: with `2^e <= max ratio < 2^(e+1)`, the shift is
    `20 - e` and a multiplier is `round(ratio * 2^shift)`.

    >>> grids = [Grid(scale, 0, -128, 127) for scale in (0.5, 0.25, 1.0)]
    >>> add_multipliers(*grids)
    ((1048576, 524288), 21)
    """
    ratios = [_ratio(grid.scale, result.scale) for grid in (first, second)]
    exponent = math.frexp(max(ratios))[1] - 1
    shift = _ADD_BITS - exponent
    one, two = (round(math.ldexp(ratio, shift)) for ratio in ratios)
    return (one, two), shift
