"""Label smoothing as a training-time defence: the baseline that only makes a model less sure."""

from __future__ import annotations

from typing import Literal, final

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.settings import Settings


@final
class Smoothing(Settings):
    """The cross-entropy to (1 - share) y + share / K: it moves the answers in no particular direction.

    Szegedy et al. 2016, arXiv:1512.00567. What a defence reaches beyond it at the same l1 distance is owed to where
    the defence moves the answers, not to how far.
    """

    name: Literal["smoothing"] = "smoothing"
    share: float = Field(default=0.1, ge=0, lt=1)

    @property
    def strength(self) -> float:
        """The one number that a search turns: the share."""
        return self.share

    def with_strength(self, strength: float) -> Smoothing:
        """Return the same loss with another share."""
        return self.replace(share=strength)

    def batch_loss(
        self, model: nn.Module, original: nn.Module, images: Tensor, labels: Tensor, label_smoothing: float
    ) -> Tensor:
        """Compute the loss of a model on images float32 `[B,3,H,W]` in `[0,1]` and labels int64 `[B]`: a scalar."""
        logits: Tensor = model(images)
        return F.cross_entropy(logits.float(), labels, label_smoothing=max(self.share, label_smoothing))
