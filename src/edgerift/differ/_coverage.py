"""Neuron coverage: which neurons of a network some image has activated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor, nn

from edgerift.zoo import frozen_copy


@final
class NeuronCoverage:
    """The neurons of a network's convolutions and linear layers, and those that an image has activated so far.

    A neuron is a channel: the mean of its output over the places. Scaled to the range of its layer for an image, it is
    activated above `threshold`, as in DeepXplore (Pei et al. 2017, arXiv:1705.06640). What is covered stays covered.
    """

    def __init__(self, model: nn.Module, threshold: float = 0.25) -> None:
        """Look at a copy of a model, with nothing covered."""
        self._model, self._threshold = frozen_copy(model), threshold
        layers = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
        self._layers = [(name, part) for name, part in self._model.named_modules() if isinstance(part, layers)]
        self._covered: dict[str, Tensor] = {}

    @property
    def neurons(self) -> int:
        """The number of neurons that were seen in any image's layers."""
        return sum(len(layer) for layer in self._covered.values())

    @property
    def covered(self) -> int:
        """The number of neurons that are covered."""
        return int(sum(layer.sum() for layer in self._covered.values()))

    @property
    def share(self) -> float:
        """The share of the neurons that are covered, in [0, 1]; 0 without images or layers."""
        return self.covered / self.neurons if self.neurons else 0.0

    def see(self, images: Tensor) -> None:
        """Count what images float32 `[N,C,H,W]` in `[0,1]` activate."""
        with torch.no_grad(), self._watched() as seen:
            self._model(images)
        for name, values in seen.items():
            low, high = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
            scaled = (values - low) / (high - low).clamp_min(torch.finfo(values.dtype).tiny)
            found = (scaled > self._threshold).any(0)
            self._covered[name] = found | self._covered.get(name, torch.zeros_like(found))

    def uncovered(self, images: Tensor, draw: torch.Generator) -> Tensor:
        """Compute for each image `[N]` the value of one neuron that is not covered, drawn at random; 0 where all are.

        The images `[N,C,H,W]` get its gradient.
        """
        left = [(name, place) for name, one in self._covered.items() for place in (~one).nonzero()[:, 0].tolist()]
        if not left:
            return images.sum((1, 2, 3)) * 0
        name, place = left[int(torch.randint(len(left), (1,), generator=draw))]
        with self._watched() as seen:
            self._model(images)
        return seen[name][:, place]

    @contextmanager
    def _watched(self) -> Iterator[dict[str, Tensor]]:
        """Collect the neurons' values `[N,neurons]` of one pass."""
        seen: dict[str, Tensor] = {}

        def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
            def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
                seen[name] = _by_channel(output)

            return hook

        hooks = [part.register_forward_hook(keep(name)) for name, part in self._layers]
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()


def _by_channel(output: Tensor) -> Tensor:
    """Average a layer's output over its places: `[N,C,...]` of a convolution, `[N,...,C]` of a linear layer."""
    if output.dim() <= 2:
        return output
    return output.flatten(2).mean(2) if output.dim() == 4 else output.flatten(1, -2).mean(1)
