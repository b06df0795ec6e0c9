"""Penultimate features: the input of a classifier's last linear layer."""

from __future__ import annotations

from typing import Any, Final, final

from torch import Tensor, nn

from edgerift.deploy.program._operators import operator_name
from edgerift.deploy.twins._twin import Twin
from edgerift.errors import ModelError

_LINEAR: Final = "aten.linear.default"


def feature_module(module: nn.Module) -> nn.Module:
    """Make a module that answers a classifier's penultimate features, float32 `[N,D]`, for images `[N,C,H,W]`.

    They are the input of the linear layer that makes the logits, in an original as in a :class:`Twin`; those of a twin
    with a runtime's arithmetic are whole levels. The classifier runs in the mode it is in and is not changed.

    Raises :class:`~edgerift.errors.ModelError` when there is no such layer.

    >>> import torch
    >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    >>> feature_module(network)(torch.rand(4, 3, 2, 2)).shape
    torch.Size([4, 5])
    """
    if isinstance(module, Twin):
        return _TwinFeatures(module)
    return _OriginalFeatures(module)


@final
class _OriginalFeatures(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
        if not self.layers:
            raise _missing(type(model).__name__)

    def forward(self, images: Tensor) -> Tensor:
        """Run the classifier and catch what its last linear layer reads."""
        calls: list[tuple[Tensor, Tensor]] = []

        def catch(_layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            calls.append((inputs[0], output))

        handles = [layer.register_forward_hook(catch) for layer in self.layers]
        try:
            logits = self.model(images)
        finally:
            for handle in handles:
                handle.remove()
        for features, output in reversed(calls):
            if output.shape == logits.shape:
                return features.flatten(1).float()
        raise _missing(type(self.model).__name__)


@final
class _TwinFeatures(nn.Module):
    def __init__(self, twin: Twin) -> None:
        super().__init__()
        layers = [step for step in twin.body.steps if operator_name(step.function) == _LINEAR]
        if not layers:
            raise _missing("the program")
        body = twin.body.ending_in(layers[-1].arguments[0])
        self.twin = Twin(body, twin.arithmetic, twin.image_channels)

    def forward(self, images: Tensor) -> Tensor:
        """Run the twin as far as the last linear layer."""
        features: Tensor = self.twin(images)
        return features.flatten(1).float()


def _missing(model: str) -> ModelError:
    return ModelError(
        f"{model} has no linear layer that makes its logits, so it has no penultimate features; "
        "give a classifier that ends in torch.nn.Linear"
    )
