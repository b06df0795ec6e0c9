"""An attack on several devices: the communication of its processes."""

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

    Its methods are collective: all processes have to call them, in the same order.
    """

    def __init__(self, fabric: Fabric | None = None) -> None:
        """Take a launched `fabric`, so that all processes run this."""
        self._fabric = fabric
        self.rank = 0 if fabric is None else fabric.global_rank
        self.world_size = 1 if fabric is None else fabric.world_size

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, all in one message."""
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
        """Average the gradients, so that all processes take the same step."""
        if self._fabric is not None:
            self.average([weight.grad for weight in module.parameters() if weight.grad is not None])

    def average_statistics(self, modules: Sequence[nn.Module]) -> None:
        """Average the running statistics of batch normalisation, which each process computes on its own images."""
        if self._fabric is not None:
            buffers = [buffer for module in modules for buffer in module.buffers()]
            self.average([buffer for buffer in buffers if buffer.is_floating_point()])

    def total(self, count: int) -> int:
        """Sum a count over all processes."""
        if self._fabric is None:
            return count
        found = self._fabric.all_reduce(torch.tensor(count, device=self._fabric.device), reduce_op="sum")
        assert isinstance(found, Tensor)
        return int(found)

    def is_same(self, count: int) -> bool:
        """Return whether all processes gave the same number; every process gets the same result."""
        return self.world_size * self.total(count**2) == self.total(count) ** 2

    def agreed(self, flag: bool) -> bool:
        """Take the first process's answer."""
        return flag if self._fabric is None else bool(self._fabric.broadcast(flag))

    def wait(self) -> None:
        """Wait until all processes arrive."""
        if self._fabric is not None:
            self._fabric.barrier()
