"""Label smoothing as a training-time defence: the baseline that only makes a model less confident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, final

from pydantic import Field

from edgerift._lazy import later
from edgerift.adapt._training_defence import TrainingDefence, training_defence

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.nn import functional as F
else:
    F = later("torch.nn.functional")


@final
@training_defence
class LabelSmoothing(TrainingDefence):
    """The cross-entropy to (1 - share) y + share / K: it moves the answers in no particular direction.

    Szegedy et al. 2016, arXiv:1512.00567. A defence's gain over it at the same l1 distance is due to the direction in
    which it moves the answers, not to the distance.
    """

    type: Literal["smoothing"] = "smoothing"
    strength_field = "share"
    share: float = Field(default=0.1, ge=0, lt=1)

    def batch_loss(
        self, model: nn.Module, original: nn.Module, images: Tensor, labels: Tensor, label_smoothing: float
    ) -> Tensor:
        """Compute the loss of a model on images float32 `[B,3,H,W]` in `[0,1]` and labels int64 `[B]`: a scalar."""
        logits: Tensor = model(images)
        return F.cross_entropy(logits.float(), labels, label_smoothing=max(self.share, label_smoothing))
