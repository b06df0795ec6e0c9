"""Windows that slide over height and width: their padding, and the order of dimensions that PyTorch wants."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from edgerift.deploy.twins.tflite._builder import Builder, Real
from edgerift.deploy.twins.tflite._graph import TfliteOperator, UntranslatedError

_SAME, _VALID = 0, 1
_Ends = tuple[tuple[int, int], tuple[int, int]]


class Window(NamedTuple):
    """A window's height and width, and its stride and dilation along both.

    `same` pads so that only strides shrink; `ends` are added before and behind a height and a width besides.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    same: bool
    ends: _Ends = ((0, 0), (0, 0))

    def result(self, extents: tuple[int, ...]) -> tuple[int, ...]:
        """The height and width of what the window makes of a height and width."""
        extents = tuple(extent + sum(pair) for extent, pair in zip(extents, self.ends, strict=True))
        spanned = self._spanned() if not self.same else (1, 1)
        pairs = zip(extents, spanned, self.stride, strict=True)
        return tuple(max(0, -(-(extent - span + 1) // step)) for extent, span, step in pairs)

    def padding(self, extents: tuple[int, ...]) -> list[tuple[int, int]]:
        """What is added before and behind a height and a width; an odd rest goes behind."""
        if not self.same:
            return list(self.ends)
        missing = [
            max(0, (made - 1) * step + span - extent)
            for made, step, span, extent in zip(
                self.result(extents), self.stride, self._spanned(), extents, strict=True
            )
        ]
        return [(amount // 2, amount - amount // 2) for amount in missing]

    def _spanned(self) -> tuple[int, ...]:
        pairs = zip(self.kernel, self.dilation, strict=True)
        return tuple((extent - 1) * step + 1 for extent, step in pairs)


def window_of(operator: TfliteOperator, height: int, width: int) -> Window:
    """Read an operator's window of a height and width; raises `UntranslatedError` for one that makes no sense."""
    options = operator.options
    stride = int(options.get("StrideH", 0)), int(options.get("StrideW", 0))
    dilation = int(options.get("DilationHFactor", 1)), int(options.get("DilationWFactor", 1))
    if min(*stride, *dilation, height, width) < 1 or int(options["Padding"]) not in (_SAME, _VALID):
        raise UntranslatedError(
            f"{operator} has the stride {stride}, the dilation {dilation} and a window {height}x{width}"
        )
    ends: _Ends = options.get("Ends", ((0, 0), (0, 0)))
    return Window((height, width), stride, dilation, int(options["Padding"]) == _SAME, ends)


def padded(
    builder: Builder, operator: TfliteOperator, value: Real, window: Window, filled: float, *, always: bool = False
) -> tuple[Real, tuple[int, int]]:
    """Pad [N,C,H,W], or say how much is padded where it is the same on both sides, unless it `always` has to be."""
    (above, below), (left, right) = window.padding(builder.tensor(operator).shape[1:3])
    if above == below and left == right and not (always and above + left):
        return value, (above, left)
    return builder.call(F.pad, value, [left, right, above, below], "constant", filled), (0, 0)


def channels_second(builder: Builder, value: Real) -> Real:
    """Append the view of [N,H,W,C] as [N,C,H,W]."""
    return builder.call(as_channels_second, value)


def channels_last(builder: Builder, value: Real) -> Real:
    """Append the view of [N,C,H,W] as [N,H,W,C]."""
    return builder.call(as_channels_last, value)


def as_channels_second(value: Tensor) -> Tensor:
    """View [N,H,W,C] as [N,C,H,W]."""
    return value.permute(0, 3, 1, 2)


def as_channels_last(value: Tensor) -> Tensor:
    """View [N,C,H,W] as [N,H,W,C]."""
    return value.permute(0, 2, 3, 1)
