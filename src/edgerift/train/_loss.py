"""The types of what training is told to lower."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
Read = Callable[[Tensor], Tensor]
