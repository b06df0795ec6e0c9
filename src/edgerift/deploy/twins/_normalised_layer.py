"""A layer and its batch normalisation as one, whose weight is rounded with the normalisation folded in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.deploy.twins._rounded_weights import SMALLEST_SCALE, rounded_weight, weight_levels

#: How much of a batch's statistics enters the running ones, as in PyTorch's batch normalisation.
_MOMENTUM: Final = 0.1

#: The smallest magnitude of a gain that outputs are divided by.
_SMALLEST_GAIN: Final = 1e-6


class Normalisation(NamedTuple):
    """A batch normalisation, each tensor float32 `[C]`, and the bias `[C]` of the layer before it."""

    weight: Tensor
    bias: Tensor
    mean: Tensor
    variance: Tensor
    eps: float
    shift: Tensor


@final
class NormalisedLayer(nn.Module):
    """A layer with a batch normalisation behind it: what is rounded is `weight * gain`, `gain = w / sqrt(var + eps)`.

    Jacob et al. 2018, arXiv:1712.05877, section 3.2. While `alive` and in training mode the layer's output is divided
    by the gain again and normalised by the statistics of the batch, which move the running ones; otherwise it is what a
    build computes: the rounded weight, and the bias that folding gives.
    """

    mean: Tensor
    variance: Tensor
    floor: Tensor

    def __init__(
        self,
        weight: Tensor,
        norm: Normalisation,
        bounds: tuple[int, int],
        scales: Tensor,
        call: Callable[..., Tensor],
        arguments: tuple[Any, ...],
        *,
        whole: bool = False,
    ) -> None:
        """Start from the weight `[C,...]` before folding; `call(input, weight, bias, *arguments)` is the layer.

        `bounds`, `scales` and `whole` are as for :class:`RoundedWeight`.
        """
        super().__init__()
        self.alive = True
        self.weight = nn.Parameter(weight.clone())
        self.gamma, self.beta, self.shift = (
            nn.Parameter(value.detach().clone()) for value in (norm.weight, norm.bias, norm.shift)
        )
        self.register_buffer("mean", norm.mean.detach().clone())
        self.register_buffer("variance", norm.variance.detach().clone())
        self.register_buffer("floor", scales.float().clamp(max=SMALLEST_SCALE))
        self.eps = norm.eps
        self.bounds = bounds
        self.whole = whole
        self._call = call
        self._arguments = arguments

    def forward(self, value: Tensor) -> Tensor:
        """Compute the normalised output of `value` `[N,C_in,...]`."""
        if not (self.training and self.alive):
            return self._call(value, self._rounded(self._gain()), self._folded_bias(), *self._arguments)
        # The gradient of the gain is that of the normalisation alone: dividing cancels the other.
        gain = self._gain().detach()
        gain = torch.where(gain.abs() < _SMALLEST_GAIN, _SMALLEST_GAIN, gain)
        output = self._call(value, self._rounded(gain), None, *self._arguments)
        output = output / _along_channels(gain, output) + _along_channels(self.shift, output)
        return F.batch_norm(
            output, self.mean, self.variance, self.gamma, self.beta, True, momentum=_MOMENTUM, eps=self.eps
        )

    def integers(self) -> tuple[Tensor, Tensor]:
        """Return the levels `[C,...]` as whole float32 numbers, and the scales `[C]`."""
        return weight_levels(self._folded(self._gain()), self.bounds, self.floor, whole=self.whole)

    def bias(self) -> Tensor:
        """Return the bias `[C]` that the build adds."""
        return self._folded_bias().detach().cpu().clone()

    def _gain(self) -> Tensor:
        return self.gamma * torch.rsqrt(self.variance + self.eps)

    def _folded(self, gain: Tensor) -> Tensor:
        return self.weight * gain.view([-1] + [1] * (self.weight.dim() - 1))

    def _rounded(self, gain: Tensor) -> Tensor:
        return rounded_weight(self._folded(gain), self.bounds, self.floor, whole=self.whole)

    def _folded_bias(self) -> Tensor:
        return self.beta + (self.shift - self.mean) * self._gain()


def _along_channels(value: Tensor, output: Tensor) -> Tensor:
    return value.view([1, -1] + [1] * (output.dim() - 2))
