"""The types of what training is told to lower."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


class Read(Protocol):
    """Makes logits of a model's answers."""

    def __call__(self, scores: Tensor, /, *, training: bool = False) -> Tensor:
        """Read answers `[B,K]`, those in training mode or the others."""
