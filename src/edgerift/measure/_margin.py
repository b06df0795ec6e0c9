"""By how much a label leads the other classes, or falls behind the best of them."""

from __future__ import annotations

from torch import Tensor


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute z_y - max_{k != y} z_k `[N]` of logits `[N,K]`: positive where the label is the top class.

    >>> import torch
    >>> margin(torch.tensor([[1.0, 3.0, 2.5]]), torch.tensor([1]))
    tensor([0.5000])
    """
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return own[:, 0] - others.amax(1)
