"""Which weights of a model are pruned, by their magnitude."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from edgerift.train import OnStep

#: What is added before a number of weights is rounded down: 0.29 times 100 is 28.999... in floating point.
_ROUNDING = 1e-9


def magnitude_mask(weight: Tensor, sparsity: float, *, channels: bool = False) -> Tensor:
    """Mark the weights that magnitude pruning keeps: bool of the weight's shape `[C,...]`, False for what is pruned.

    The `floor(sparsity * n)` entries of least magnitude are pruned, of equal ones the first. With `channels` they are
    whole output channels, by the Euclidean norm of their weights.

    >>> magnitude_mask(torch.tensor([[3.0, -1.0], [0.5, -4.0]]), 0.5).tolist()
    [[True, False], [False, True]]
    """
    size = weight.detach().flatten(1).norm(dim=1) if channels else weight.detach().abs().flatten()
    pruned = math.floor(sparsity * len(size) + _ROUNDING)
    kept = torch.ones_like(size, dtype=torch.bool)
    if pruned:
        # A selection takes linear time, and its ties are broken here, equally on every device.
        limit = size.cpu().kthvalue(pruned).values.to(size.device)
        below, equal = size < limit, size == limit
        kept = ~(below | equal & (equal.cumsum(0) <= pruned - below.sum()))
    if channels:
        kept = kept.view([-1] + [1] * (weight.dim() - 1)).expand(weight.shape)
    return kept.reshape(weight.shape)


def prunable(model: nn.Module, *, channels: bool = False) -> Iterator[tuple[str, nn.Parameter]]:
    """List the weights of a model's layers, by the names of the layers; with `channels` those of convolutions alone.

    Biases, normalisations and what is embedded are no weights of layers.
    """
    for name, parameter in model.named_parameters():
        layer, _, kind = name.rpartition(".")
        if kind.endswith("weight") and parameter.dim() > 1 and (parameter.dim() == 4 or not channels):
            yield layer, parameter


def kept_zeros(weights: Mapping[str, nn.Parameter]) -> OnStep:
    """Make the hook of a training that sets weights to 0 again which are 0 now, after each step of the optimizer."""
    zeros = {name: weight.detach() == 0 for name, weight in weights.items()}

    def reset(_model: nn.Module, _done: float) -> None:
        with torch.no_grad():
            for name, weight in weights.items():
                weight.masked_fill_(zeros[name].to(weight.device), 0)

    return reset


def sparsity(model: nn.Module) -> dict[str, float]:
    """Measure the share of each layer's weights that are 0, in [0, 1]."""
    return {layer: float((weight == 0).double().mean()) for layer, weight in prunable(model)}
