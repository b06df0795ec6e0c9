"""Functions of one 8-bit number as tables: its result and its slope for each of the 256 levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._straight_through import inside
from edgerift.deploy.twins.tflite._builder import Builder, Real
from edgerift.deploy.twins.tflite._through import Clip, Passing

Context = Any
Function: TypeAlias = Callable[[Tensor], Tensor]


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, levels: Tensor, results: Tensor, slopes: Tensor, low: int) -> Tensor:
        places = (levels - low).long()
        ctx.save_for_backward(slopes[places])
        return results[places]

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        return grad * slopes, None, None, None


def look_up(levels: Tensor, results: Tensor, slopes: Tensor, low: int) -> Tensor:
    """Look levels up in a table that begins at the level `low`."""
    found: Tensor = _LookUp.apply(levels, results, slopes, low)  # type: ignore[no-untyped-call]
    return found


def all_levels(grid: Grid) -> Tensor:
    """List the levels of a grid, counted from its zero point, int64."""
    return torch.arange(grid.low, grid.high + 1)


def looked_up(
    builder: Builder,
    value: Real,
    grids: tuple[Grid, Grid],
    rounded: Tensor,
    real: Function,
    bounds: tuple[Clip, Passing],
) -> Real:
    """Append a table from one grid to another: whole results for all levels, and the slope of a real function."""
    source, result = grids
    clip, passing = bounds
    with torch.enable_grad():
        given = (all_levels(source).double() * source.scale).requires_grad_()
        made = real(given) / result.scale
        (slopes,) = torch.autograd.grad(made.sum(), given)
    slopes = inside(slopes * source.scale, made.detach(), *passing).float()
    return builder.call(look_up, value, rounded.clamp(*clip).float(), slopes, source.low)
