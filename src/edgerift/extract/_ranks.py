"""An attack on several devices: what its processes tell each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@final
class Ranks:
    """The processes of one attack, one for each device, numbered from 0; without a `fabric` this process alone.

    Whatever one of them asks of the others, all of them have to ask, in the same order.
    """

    def __init__(self, fabric: Fabric | None = None) -> None:
        """Take a `fabric` that was launched, so that all processes run this."""
        self._fabric = fabric
        self.rank = 0 if fabric is None else fabric.global_rank
        self.world_size = 1 if fabric is None else fabric.world_size

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over all processes in the place of each tensor, all of them in one message."""
        if self._fabric is None or not tensors:
            return
        flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
        mean = self._fabric.all_reduce(flat, reduce_op="mean")
        assert isinstance(mean, Tensor)
        parts = mean.split([tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def average_gradients(self, module: nn.Module) -> None:
        """Average what a backward pass left, so that all processes take the same step."""
        if self._fabric is not None:
            self.average([weight.grad for weight in module.parameters() if weight.grad is not None])

    def average_statistics(self, modules: Sequence[nn.Module]) -> None:
        """Average the running statistics of batch normalisation, which each process takes over its own images."""
        if self._fabric is not None:
            buffers = [buffer for module in modules for buffer in module.buffers()]
            self.average([buffer for buffer in buffers if buffer.is_floating_point()])

    def total(self, count: int) -> int:
        """Add up a count over all processes."""
        if self._fabric is None:
            return count
        found = self._fabric.all_reduce(torch.tensor(count, device=self._fabric.device), reduce_op="sum")
        assert isinstance(found, Tensor)
        return int(found)

    def is_same(self, count: int) -> bool:
        """Tell whether all processes gave the same number, the same answer to all."""
        return self.world_size * self.total(count**2) == self.total(count) ** 2

    def agreed(self, flag: bool) -> bool:
        """Take the first process's answer, whatever the others think."""
        return flag if self._fabric is None else bool(self._fabric.broadcast(flag))

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self._fabric is not None:
            self._fabric.barrier()
