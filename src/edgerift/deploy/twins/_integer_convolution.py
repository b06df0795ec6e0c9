"""A convolution on levels together with its requantization, as one step of the gradient."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from edgerift.deploy.twins._straight_through import inside

Context = Any


class Geometry(NamedTuple):
    """A convolution's stride, padding and dilation, a number for each axis of space, and its groups."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    def convolve(self, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve `inputs` `[N,C,...]` with a weight and a bias."""
        none = [0] * len(self.stride)
        return torch.convolution(
            inputs, weight, bias, self.stride, self.padding, self.dilation, False, none, self.groups
        )


def input_gradient(grad: Tensor, shape: torch.Size, weight: Tensor, geometry: Geometry) -> Tensor:
    """The gradient by a convolution's input of that shape, from the gradient by its result."""
    # Only the shape and the layout of the input are looked at; memory that is never touched costs nothing.
    layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format
    (result, _, _) = torch.ops.aten.convolution_backward(
        grad,
        torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=layout),
        weight,
        None,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        False,
        [0] * len(geometry.stride),
        geometry.groups,
        (True, False, False),
    )
    gradient: Tensor = result
    return gradient


def is_its_own_transpose(weight: Tensor, geometry: Geometry) -> bool:
    """Return whether the input's gradient is the same depthwise convolution with the kernel turned around.

    oneDNN runs it up to twice as fast as its own backward pass.
    """
    steps = zip(geometry.dilation, weight.shape[2:], geometry.padding, strict=True)
    return (
        geometry.groups == len(weight) > 1
        and weight.shape[1] == 1
        and set(geometry.stride) == {1}
        and all(step * (size - 1) >= padding for step, size, padding in steps)
    )


def mirrored(geometry: Geometry, weight: Tensor) -> Geometry:
    """How the flipped weight convolves the gradient by a result to that by the input, where the stride is 1."""
    steps = zip(geometry.dilation, weight.shape[2:], geometry.padding, strict=True)
    padding = tuple(step * (size - 1) - pixels for step, size, pixels in steps)
    return Geometry(geometry.stride, padding, geometry.dilation, geometry.groups)


class _ConvolveLevels(torch.autograd.Function):
    @staticmethod
    def forward(  # A custom function takes its arguments one by one.
        ctx: Context,
        levels: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        factor: Tensor,
        slope: Tensor,
        geometry: Geometry,
        clip: tuple[int, int],
        passing: tuple[float, float],
    ) -> Tensor:
        sums = geometry.convolve(levels, weight, bias)
        if sums.is_cuda:
            sums.round_()  # A fast convolution algorithm may leave whole numbers by a little.
        scaled = sums.mul_(factor)
        ctx.save_for_backward(scaled, slope)
        ctx.settings = levels.shape, geometry, passing
        return scaled.clamp(*clip).round_()

    @staticmethod
    def backward(ctx: Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        scaled, slope = ctx.saved_tensors
        shape, geometry, passing = ctx.settings
        passed = inside(grad, scaled, *passing)
        return input_gradient(passed, shape, slope, geometry), None, None, None, None, None, None, None


def convolve_levels(
    levels: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    factor: Tensor,
    slope: Tensor,
    geometry: Geometry,
    clip: tuple[int, int],
    passing: tuple[float, float],
) -> Tensor:
    """Convolve whole numbers and bring the sums to the next grid: `clip(round(conv(levels) * factor), *clip)`.

    `levels` `[N,C,...]`, `weight` and `bias` are float32 holding whole numbers; `factor` `[1,C_out,1,...]` and
    `slope = weight * factor` (the gradient's weight) are float32. Doing both in one step saves a copy of the sums and a
    pass over the gradient.
    """
    result: Tensor = _ConvolveLevels.apply(  # type: ignore[no-untyped-call]
        levels, weight, bias, factor, slope, geometry, clip, passing
    )
    return result


def geometry_of(arguments: tuple[Any, ...], axes: int) -> Geometry:
    """Read a convolution node's arguments after input, weight and bias, with PyTorch's defaults for those left out."""
    given = list(arguments)
    filled = [*given, *(1, 0, 1, 1)[len(given) :]]
    stride, padding, dilation = (_each(value, axes) for value in filled[:3])
    return Geometry(stride, padding, dilation, int(filled[3]))


def _each(value: Any, axes: int) -> tuple[int, ...]:
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    return tuple(int(number) for number in (numbers * axes)[:axes])
