"""From posterior probabilities back to logits, and how far a clone is from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from torch import Tensor
from torch.nn import functional as F

#: Answers below are as good as zero; their logarithm would be infinite.
_FLOOR: Final = 1e-30

Loss: TypeAlias = Literal["l1", "kl", "cross-entropy"]


def recover_logits(answers: Tensor) -> Tensor:
    """Recover logits `[N,K]` from posteriors `[N,K]`, up to their mean: `log p - mean(log p)` (DFME, equation 9).

    >>> import torch
    >>> recover_logits(torch.tensor([1.0, 2.0, 6.0]).softmax(0)[None])
    tensor([[-2., -1.,  3.]])
    """
    found = logarithms(answers)
    return found - found.mean(1, keepdim=True)


def logarithms(answers: Tensor) -> Tensor:
    """Take the natural logarithm of posteriors, those of 1e-30 and less as if they were 1e-30."""
    return answers.clamp_min(_FLOOR).log()


def l1(logits: Tensor, answers: Tensor) -> Tensor:
    """Compute DFME's loss `[N]`: the mean over classes of `|s - v|`, v the recovered logits."""
    return (logits - recover_logits(answers)).abs().mean(1)


def kl(logits: Tensor, answers: Tensor) -> Tensor:
    """Compute MAZE's loss `[N]`: `KL(victim || clone)` in nats."""
    return F.kl_div(logits.log_softmax(1), answers, reduction="none").sum(1)


def cross_entropy(logits: Tensor, answers: Tensor) -> Tensor:
    """Compute the loss `[N]` of an attacker that sees labels: the cross-entropy with the answers' top classes."""
    return F.cross_entropy(logits, answers.argmax(1), reduction="none")


LOSSES: Final[dict[Loss, Callable[[Tensor, Tensor], Tensor]]] = {"l1": l1, "kl": kl, "cross-entropy": cross_entropy}
"""The losses of clones: logits and answers, each float32 `[N,K]`, to `[N]`."""


def total_loss(loss: Loss, logits: Tensor, answers: Tensor) -> Tensor:
    """Average a loss over a batch, in float32 whatever the precision of the logits."""
    return LOSSES[loss](logits.float(), answers).mean()
