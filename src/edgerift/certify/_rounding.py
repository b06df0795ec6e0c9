"""What a build's rounding to a grid does to bounds."""

from __future__ import annotations

from typing import Any, Final, final

import torch
from torch import Tensor

from edgerift.certify._bounds import Bounds
from edgerift.certify._interval import Interval

_NAMES: Final = ("input", "scale", "zero_point", "quant_min", "quant_max", "dtype")
#: What float32 may move a number of levels by before it is rounded, relative to all levels of the grid: the eight
#: operations of a requantization, at most. Whichever of two equally near levels a kernel takes lies within.
_NEAR: Final = 2.0**-20
_FLOAT32: Final = 2.0**-23


@final
class Grid:
    """A grid as a quantize or dequantize step has it: the real values `scale * level` between two levels."""

    def __init__(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Read the arguments of a step."""
        given = {**dict(zip(_NAMES, arguments, strict=False)), **keywords}
        self.scale = float(given["scale"])
        zero = int(given["zero_point"])
        self.low, self.high = int(given["quant_min"]) - zero, int(given["quant_max"]) - zero

    def __eq__(self, other: object) -> bool:
        """Compare the values of the grid."""
        return isinstance(other, Grid) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def doubt(self) -> float:
        """How many levels a kernel's float32 may be off before it rounds."""
        return _NEAR * (self.high - self.low + 1)

    @property
    def unsure(self) -> float:
        """The relative error of a value of the grid, if a runtime keeps its scale in float32."""
        return 0.0 if float(torch.tensor(self.scale)) == self.scale else _FLOAT32

    def levels(self, values: Tensor, by: float, more: int) -> Tensor:
        """Round real values, moved by a part of a level, to levels, which are moved by `more` whole ones."""
        return ((values / self.scale + by).round() + more).clamp(self.low, self.high)

    def clipped(self, values: Tensor) -> Tensor:
        """Bring real values between the grid's ends."""
        return values.clamp(self.low * self.scale, self.high * self.scale)


def rounded(bounds: Bounds, grid: Grid, more: int) -> Bounds:
    """Round the build's values to a grid, correctly up to `more` levels.

    Rounding does not fall, so the ends of the build's interval bound its levels. The difference moves by half a level,
    and by what clipping takes off.
    """
    given = bounds.build
    low = grid.levels(given.low, -grid.doubt, -more) * grid.scale
    high = grid.levels(given.high, grid.doubt, more) * grid.scale
    build = Interval(low, high).widened(torch.maximum(low.abs(), high.abs()) * grid.unsure)
    half = grid.scale * (0.5 + grid.doubt + more)
    cut = Interval(grid.clipped(given.high) - given.high, grid.clipped(given.low) - given.low).rounded()
    change = (bounds.change + cut).widened(half + given.magnitude * grid.unsure)
    return Bounds(bounds.original, build, change).tightened()
