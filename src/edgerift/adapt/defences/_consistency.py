"""Training that keeps a quantized model close to its original, on clean images and around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, final

from pydantic import Field, NonNegativeFloat

from edgerift import train
from edgerift._lazy import later
from edgerift.adapt._training_defence import TrainingDefence, training_defence

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
else:
    torch, F = later("torch", "torch.nn.functional")

Closeness: TypeAlias = Literal["smooth-l1", "kl"]


@final
@training_defence
class Consistency(TrainingDefence):
    """labels * CE(Q, y) + weight * distance(L, Q): DivQAT with the sign turned; Q is quantized, L the frozen original.

    The last `share` of each batch is shown with random signs of `noise` grey levels added, so that the two models agree
    around the images too, where an attacker looks. The `distance` is KL(L || Q), or the mean smooth l1 distance of the
    logits. At weight 0 it is plain training, without noise.
    """

    type: Literal["consistency"] = "consistency"
    strength_field = "weight"
    weight: NonNegativeFloat = 1.0
    labels: NonNegativeFloat = 0.0
    distance: Closeness = "kl"
    noise: float = Field(default=4.0, ge=0, le=255)
    share: float = Field(default=0.5, ge=0, le=1)

    def batch_loss(
        self, model: nn.Module, original: nn.Module, images: Tensor, labels: Tensor, label_smoothing: float
    ) -> Tensor:
        """Compute the loss of a model on images float32 `[B,C,H,W]` in `[0,1]` and labels int64 `[B]`: a scalar.

        `original` is used as is, so it has to be in evaluation mode; it gets no gradient.
        """
        if self.weight == 0:
            return F.cross_entropy(model(images).float(), labels, label_smoothing=label_smoothing)
        kept = len(images) - round(self.share * len(images))
        shown = torch.cat([images[:kept], train.signed_noise(images[kept:], self.noise)])
        return consistency(self, model, original, shown, labels, label_smoothing)


def consistency(
    terms: Consistency,
    model: nn.Module,
    original: nn.Module,
    shown: Tensor,
    labels: Tensor,
    label_smoothing: float,
) -> Tensor:
    """Compute the weighted terms of a consistency loss on images as they are shown: a scalar."""
    with torch.no_grad():
        reference = original(shown).float()
    logits = model(shown).float()
    value = terms.weight * closeness(logits, reference, terms.distance)
    if terms.labels:
        value = value + terms.labels * F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return value


def closeness(logits: Tensor, original: Tensor, distance: Closeness) -> Tensor:
    """Compute the mean distance of logits `[B,K]` from the original's: a scalar.

    >>> closeness(torch.tensor([[2.0, 0.5]]), torch.tensor([[0.0, 0.0]]), "smooth-l1")
    tensor(0.8125)
    """
    if distance == "smooth-l1":
        return F.smooth_l1_loss(logits, original)
    return F.kl_div(logits.log_softmax(1), original.log_softmax(1), log_target=True, reduction="batchmean")
