"""Float weights that are rounded to int8 by output channel at each step of a training, with their scales."""

from __future__ import annotations

from typing import Any, Final, final

import torch
from torch import Tensor, nn

#: The smallest scale that a grid takes in training, unless the calibrated program has a smaller one already.
SMALLEST_SCALE: Final = 2.0**-12


class _RoundWeight(torch.autograd.Function):
    @staticmethod
    def forward(_ctx: Any, weight: Tensor, low: int, high: int, floor: Tensor, whole: bool) -> Tensor:
        scales = channel_scales(weight, low, high, floor, whole=whole).view([-1] + [1] * (weight.dim() - 1))
        return (weight / scales).round_().clamp_(low, high).mul_(scales)

    @staticmethod
    def backward(_ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        return grad, None, None, None, None


def rounded_weight(weight: Tensor, bounds: tuple[int, int], floor: Tensor, *, whole: bool = False) -> Tensor:
    """Round a weight `[C,...]` to int8 per channel, or on one grid as a `whole`; straight-through backward."""
    rounded: Tensor = _RoundWeight.apply(weight, *bounds, floor, whole)  # type: ignore[no-untyped-call]
    return rounded


def channel_scales(weight: Tensor, low: int, high: int, floor: Tensor, *, whole: bool = False) -> Tensor:
    """The symmetric per-channel scales `[C]` of a weight `[C,...]`: the largest magnitude over half the levels.

    No scale is below its `floor`, `[C]` or one for all. With `whole` all are the largest of them.
    """
    largest = weight.detach().abs().flatten(1).amax(1)
    scales = torch.maximum(largest / ((high - low) / 2), floor)
    return scales.amax().expand_as(scales) if whole else scales


def weight_levels(
    weight: Tensor, bounds: tuple[int, int], floor: Tensor, *, whole: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the levels `[C,...]` of a weight as whole float32 numbers, and their scales `[C]`."""
    weight = weight.detach()
    scales = channel_scales(weight, *bounds, floor, whole=whole)
    levels = (weight / scales.view([-1] + [1] * (weight.dim() - 1))).round_().clamp_(*bounds)
    return levels.cpu(), scales.cpu().clone()


@final
class RoundedWeight(nn.Module):
    """A float weight `[C,...]`, used as int8 per channel: rounded forward, straight-through backward.

    What is rounded is `weight * gain`, the gain `[C,1,...]` fixed. It is the factor by which a batch normalisation was
    folded into the layer: training the weight before that factor keeps the step sizes of the float training.
    """

    def __init__(
        self, weight: Tensor, gain: Tensor, bounds: tuple[int, int], scales: Tensor, *, whole: bool = False
    ) -> None:
        """Start from a real weight, before its gain, and the scales `[C]` that the program has for it.

        `bounds` are the smallest and largest level; a `whole` weight has one scale. A scale below the usual floor is
        one that the calibration found safe; training does not go below it.
        """
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.register_buffer("gain", gain.clone())
        self.gain: Tensor
        self.register_buffer("floor", scales.float().clamp(max=SMALLEST_SCALE))
        self.floor: Tensor
        self.bounds = bounds
        self.whole = whole

    def forward(self) -> Tensor:
        """Return the weight as the integers represent it."""
        return rounded_weight(self.weight * self.gain, self.bounds, self.floor, whole=self.whole)

    def integers(self) -> tuple[Tensor, Tensor]:
        """Return the levels `[C,...]` as whole float32 numbers, and the scales `[C]`."""
        return weight_levels(self.weight * self.gain, self.bounds, self.floor, whole=self.whole)
