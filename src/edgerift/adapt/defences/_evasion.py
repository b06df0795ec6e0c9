"""Training against evasion itself: on images that a search has moved to where the two models disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, final

from pydantic import Field, NonNegativeFloat

from edgerift import measure, train
from edgerift._lazy import later
from edgerift.adapt._training_defence import TrainingDefence, training_defence
from edgerift.adapt.defences._consistency import Closeness, Consistency, consistency
from edgerift.settings import Times

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
else:
    torch, F = later("torch", "torch.nn.functional")

#: How far beyond the boundary the search pushes either model, in logits.
_BEYOND = 1.0
#: The steps together cross the box so many times.
_CROSSINGS = 2.5


@final
@training_defence
class EvasionTraining(TrainingDefence):
    """Consistency on images that evade, or nearly: labels * CE(Q, y) + weight * distance(L, Q).

    The last `share` of each batch is moved by `steps` sign steps within `epsilon` grey levels that raise
    min(m_L, 1) - max(m_Q, -1), the margins m of the label: where the original stays right and the build does not. The
    search sees both models in evaluation mode. At weight 0 it is plain training.
    """

    type: Literal["evasion"] = "evasion"
    strength_field = "weight"
    weight: NonNegativeFloat = 1.0
    labels: NonNegativeFloat = 0.0
    distance: Closeness = "kl"
    epsilon: float = Field(default=8.0, ge=0, le=255)
    steps: Times = 2
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
        moved = self.moved(model, original, images[kept:], labels[kept:])
        terms = Consistency(weight=self.weight, labels=self.labels, distance=self.distance)
        return consistency(terms, model, original, torch.cat([images[:kept], moved]), labels, label_smoothing)

    def moved(self, model: nn.Module, original: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        """Move images float32 `[B,C,H,W]` in `[0,1]` to where the original is right and the model is not."""
        if len(images) == 0 or self.epsilon == 0:
            return images

        def disagreement(x: Tensor) -> Tensor:
            kept, lost = measure.margin(original(x), labels), measure.margin(model(x), labels)
            return (kept.clamp(max=_BEYOND) - lost.clamp(min=-_BEYOND)).sum()

        searching = train.Adversary(epsilon=self.epsilon, step=_CROSSINGS * self.epsilon / self.steps, steps=self.steps)
        with train.in_evaluation(model):
            return train.moved_images(images, disagreement, searching)


@final
@training_defence
class AdversarialQat(TrainingDefence):
    """Adversarial training of the quantized model alone (Madry et al. 2018): CE(Q(x'), y).

    x' raises that same cross-entropy by `steps` sign steps of `epsilon` / 4 from a random start within `epsilon` grey
    levels. The original is not looked at, so the two models may well move apart.
    """

    type: Literal["adversarial"] = "adversarial"
    strength_field = "epsilon"
    epsilon: float = Field(default=8.0, ge=0, le=255)
    steps: Times = 7

    def batch_loss(
        self, model: nn.Module, original: nn.Module, images: Tensor, labels: Tensor, label_smoothing: float
    ) -> Tensor:
        """Compute the loss of a model on images float32 `[B,C,H,W]` in `[0,1]` and labels int64 `[B]`: a scalar."""
        if self.epsilon == 0:
            return F.cross_entropy(model(images).float(), labels, label_smoothing=label_smoothing)
        attacker = train.Adversary(epsilon=self.epsilon, step=self.epsilon / 4, steps=self.steps)
        return train.adversarial_loss(attacker, _in_float32, label_smoothing)(model, images, labels)


def _in_float32(logits: Tensor, *, training: bool = False) -> Tensor:
    return logits.float()
