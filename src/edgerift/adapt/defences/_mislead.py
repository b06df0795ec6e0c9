"""Training towards misleading answers: a fixed share of the probability moves to a wrong class, the label stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, final

from pydantic import Field

from edgerift._lazy import later
from edgerift.adapt._training_defence import TrainingDefence, training_defence

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
else:
    torch, F = later("torch", "torch.nn.functional")

Towards: TypeAlias = Literal["second", "least"]


@final
@training_defence
class MisleadingTargets(TrainingDefence):
    """Cross-entropy to the label, and `weight` times the cross-entropy to a misleading target made of the original.

    The target t = (1 - s) L + s e_j moves a share s of the original's answer L to one wrong class j: its `second`
    class, or its `least` likely one. s is the largest that meets both bounds: |t - L|_1 = 2 s (1 - L_j) <= `l1`, and
    t's first class stays ahead of j by at least `margin`, which gives s <= (L_top - L_j - margin) / (1 + L_top - L_j).
    An answer without room for the margin is unchanged. Unlike with an increased divergence, the target is fixed: the
    effect follows `l1` gradually, without a jump.
    """

    type: Literal["mislead"] = "mislead"
    strength_field = "l1"
    plain_at_zero = False
    l1: float = Field(default=0.6, ge=0, le=2)
    margin: float = Field(default=0.1, ge=0, lt=1)
    towards: Towards = "second"
    weight: float = Field(default=5.0, gt=0)

    def batch_loss(
        self, model: nn.Module, original: nn.Module, images: Tensor, labels: Tensor, label_smoothing: float
    ) -> Tensor:
        """Compute the loss of a model on images float32 `[B,3,H,W]` in `[0,1]` and labels int64 `[B]`: a scalar.

        `original` is used as is, so it has to be in evaluation mode; it gets no gradient.
        """
        with torch.no_grad():
            target = self.target(original(images).float().softmax(1))
        logits = model(images).float()
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing) + self.weight * F.cross_entropy(
            logits, target
        )

    def target(self, answers: Tensor) -> Tensor:
        """Make the misleading target of the original's answers: float32 `[B,K]` on the simplex, as they are.

        >>> MisleadingTargets(l1=0.4, margin=0.1).target(torch.tensor([[0.7, 0.2, 0.1]])).round(decimals=3)
        tensor([[0.5250, 0.4000, 0.0750]])
        """
        top, second = answers.topk(2, dim=1).indices.unbind(1)
        wrong = (second if self.towards == "second" else answers.argmin(1))[:, None]
        first, lifted = answers.gather(1, top[:, None]), answers.gather(1, wrong)
        by_distance = self.l1 / (2 * (1 - lifted)).clamp_min(1e-6)
        by_margin = (first - lifted - self.margin) / (1 + first - lifted)
        share = torch.minimum(by_distance, by_margin).clamp_min(0)
        return ((1 - share) * answers).scatter_add(1, wrong, share)
