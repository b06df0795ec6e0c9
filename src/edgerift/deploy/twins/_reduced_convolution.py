"""A convolution of levels by oneDNN's int8 kernels, and its gradient in bfloat16."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias, final

import torch
from torch import Tensor

from edgerift.deploy.twins._integer_convolution import Geometry, input_gradient, is_its_own_transpose, mirrored
from edgerift.deploy.twins._straight_through import inside

Context = Any

Range: TypeAlias = tuple[int, int]
"""The lowest and the highest level, counted from the zero point."""


@final
class ReducedConvolution:
    """A convolution of levels with its requantization: bfloat16 levels `[N,C,H,W]` in and out, all of them exact.

    Forward an int8 kernel of oneDNN computes `conv(levels) * factor`. It scales before it adds the bias, so that of two
    levels that are all but equally near the other one may be chosen.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        factor: Tensor,
        slope: Tensor,
        geometry: Geometry,
        read: Range,
        clip: Range,
        passing: tuple[float, float],
    ) -> None:
        """Take what :func:`convolve_levels` takes, and the range of the levels that are read."""
        self.weight = weight.to(torch.int8)
        self.factor = factor.flatten().contiguous()
        self.bias = None if bias is None else bias * self.factor
        self.slope = slope.to(torch.bfloat16 if geometry.groups == 1 else torch.float32)
        self.is_mirrored = is_its_own_transpose(weight, geometry)
        if self.is_mirrored:
            self.slope = self.slope.flip(2, 3)
        self.geometry, self.read, self.clip, self.passing = geometry, read, clip, passing

    @cached_property
    def _packed(self) -> tuple[Tensor, Tensor]:
        zeros = torch.zeros(len(self.weight), dtype=torch.int32)
        geometry = [list(each) for each in self.geometry[:3]]
        weight = torch.ops.onednn.qconv_prepack(
            self.weight, self.factor, 1.0, -self.read[0], *geometry, self.geometry.groups, None
        )
        return weight, zeros

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what oneDNN has packed: it cannot be copied."""
        return {name: value for name, value in self.__dict__.items() if name != "_packed"}

    def __call__(self, levels: Tensor) -> Tensor:
        """Convolve levels `[N,C,H,W]`."""
        result: Tensor = _Convolve.apply(levels, self)  # type: ignore[no-untyped-call]
        return result

    def gradient(self, grad: Tensor, shape: torch.Size) -> Tensor:
        """The gradient by the levels, of that shape, from the gradient by what is rounded."""
        grad = grad.to(self.slope.dtype)
        if self.is_mirrored:
            return mirrored(self.geometry, self.slope).convolve(grad, self.slope, None)
        return input_gradient(grad, shape, self.slope, self.geometry)

    def scaled(self, levels: Tensor) -> Tensor:
        """Compute what is rounded to the levels of the next grid, float32, without a gradient."""
        if not _has_exact_int8():
            sums = self.geometry.convolve(levels.float(), self.weight.float(), None)
            scaled = sums.mul_(self.factor.view(1, -1, 1, 1))
            return scaled if self.bias is None else scaled.add_(self.bias.view(1, -1, 1, 1))
        weight, zeros = self._packed
        stride, padding, dilation, groups = self.geometry
        result: Tensor = torch.ops.onednn.qconv2d_pointwise(
            _counted(levels, self.read[0]),
            *(1.0, -self.read[0], weight, self.factor, zeros, self.bias),
            *(list(stride), list(padding), list(dilation), groups),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        return result


def _has_exact_int8() -> bool:
    """Tell whether oneDNN sums int8 products in 32 bits here; without VNNI it does so in 16, which saturate."""
    return bool(getattr(torch.cpu, "_is_vnni_supported", bool)())


def _counted(levels: Tensor, low: int) -> Tensor:
    """Count levels from the lowest, as uint8: by way of int16, as a direct conversion takes five times as long."""
    whole = levels.to(torch.int16)
    return (whole.sub_(low) if low else whole).to(torch.uint8)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Context, levels: Tensor, layer: ReducedConvolution) -> Tensor:
        scaled = layer.scaled(levels)
        ctx.save_for_backward(scaled.to(torch.bfloat16))
        ctx.settings = levels.shape, layer
        return scaled.clamp_(*layer.clip).round_().to(torch.bfloat16)

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (scaled,) = ctx.saved_tensors
        shape, layer = ctx.settings
        return layer.gradient(inside(grad, scaled, *layer.passing), shape), None


class _Add(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Context,
        first: Tensor,
        second: Tensor,
        multipliers: tuple[int, int],
        shift: int,
        clip: Range,
        passing: tuple[float, float],
    ) -> Tensor:
        one, two = (multiplier / (1 << shift) for multiplier in multipliers)
        total = torch.add(first.float().mul_(one), second, alpha=two)
        # Halves are rounded up, as the shift does it.
        levels = total.add_(0.5).floor_().clamp_(*clip).to(torch.bfloat16)
        ctx.save_for_backward(levels)
        ctx.settings = one, two, passing
        return levels

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        (levels,) = ctx.saved_tensors
        one, two, passing = ctx.settings
        passed = inside(grad, levels, *passing)
        return passed * one, passed * two, None, None, None, None


def add_levels(
    first: Tensor,
    second: Tensor,
    multipliers: tuple[int, int],
    shift: int,
    clip: Range,
    passing: tuple[float, float],
) -> Tensor:
    """Add two tensors of levels as :func:`add_fixed_point` does, in float32; the same but for a rounding at a half."""
    result: Tensor = _Add.apply(first, second, multipliers, shift, clip, passing)  # type: ignore[no-untyped-call]
    return result
