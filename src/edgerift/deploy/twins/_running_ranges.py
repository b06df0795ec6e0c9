"""Activation grids that follow the values: a running range for each, from which its scale and zero point follow."""

from __future__ import annotations

from typing import Final, final

import torch
from torch import Tensor, nn

from edgerift.deploy.program._grid import Grid
from edgerift.deploy.twins._rounded_weights import SMALLEST_SCALE
from edgerift.deploy.twins._straight_through import clipped, fake_quantize, passing_range

#: How much of a new batch's range enters the running range, as in torchao's moving-average observer.
_AVERAGING: Final = 0.01


@final
class ObservedQuantize(nn.Module):
    """Fake quantization on a grid that follows the values: a running range, moved by each training batch."""

    def __init__(self, ranges: Ranges, index: int, bounds: tuple[float, float] | None) -> None:
        """Share range `index` of `ranges`; `bounds` are those of the activation before, if any."""
        super().__init__()
        self._ranges = [ranges]  # In a list, so that the shared ranges are not this module's child too.
        self.index = index
        self.bounds = bounds

    def forward(self, value: Tensor) -> Tensor:
        """Round `value`, float32 of any shape, on the range's present grid."""
        (ranges,) = self._ranges
        if self.training and ranges.observing:
            ranges.observe(self.index, value.detach(), self.bounds)
        grid = ranges.grids[self.index]
        low, high = (None, None) if self.bounds is None else (grid.level(bound) for bound in self.bounds)
        return fake_quantize(value, grid, clipped(grid, low, high), passing_range(grid, low, high))


@final
class Ranges(nn.Module):
    """The running ranges `[G,2]` (least and greatest value) of all activation grids, and their grids."""

    def __init__(self, grids: list[Grid]) -> None:
        """Start from the grids of a calibrated program."""
        super().__init__()
        bounds = [[grid.scale * grid.low, grid.scale * grid.high] for grid in grids]
        self.register_buffer("running", torch.tensor(bounds).reshape(-1, 2))
        self.running: Tensor
        self.register_buffer("moved", torch.zeros(len(grids), dtype=torch.bool))
        self.moved: Tensor
        self.grids = list(grids)
        self.floors = [min(SMALLEST_SCALE, grid.scale) for grid in grids]
        self.observing = True

    def observe(self, index: int, value: Tensor, bounds: tuple[float, float] | None) -> None:
        """Move one range towards the values of a batch; one with values that are not finite moves nothing."""
        # A reduction over the memory as it lies is twenty times as fast as one over the logical order.
        flat = value.permute(0, 2, 3, 1) if value.dim() == 4 else value
        least, greatest = torch.aminmax(flat.reshape(-1) if flat.is_contiguous() else value.contiguous())
        seen = torch.stack([least, greatest])
        if bounds is not None:
            seen = seen.clamp(*bounds)
        finite = torch.isfinite(seen).all()
        self.running[index] += torch.where(finite, _AVERAGING * (seen - self.running[index]), 0.0)
        self.moved[index] |= finite

    def refresh(self) -> None:
        """Derive the grids from the ranges; a range that no batch has moved keeps its grid as it is."""
        for index, ((least, greatest), moved) in enumerate(
            zip(self.running.tolist(), self.moved.tolist(), strict=True)
        ):
            if moved:
                self.grids[index] = affine_grid(least, greatest, self.grids[index], self.floors[index])


def affine_grid(least: float, greatest: float, like: Grid, floor: float = SMALLEST_SCALE) -> Grid:
    """The affine grid over `[least, greatest]` stretched to hold 0: `scale = range / levels`, whole zero point.

    The scale is at least `floor` and rounded to float32, as quantizers keep it.

    >>> affine_grid(-1.0, 1.55, Grid(1.0, 0, -128, 127))
    Grid(scale=0.009999999776482582, zero_point=-28, minimum=-128, maximum=127)
    """
    least, greatest = min(least, 0.0), max(greatest, 0.0)
    exact = max((greatest - least) / (like.maximum - like.minimum), floor)
    scale = float(torch.tensor(exact, dtype=torch.float32))
    zero_point = max(like.minimum, min(like.maximum, like.minimum - round(least / scale)))
    return Grid(scale, zero_point, like.minimum, like.maximum)
