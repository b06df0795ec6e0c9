"""The divergence of a quantized model's answers from the original's, which DivQAT increases."""

from __future__ import annotations

import math
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

Direction: TypeAlias = Literal["forward", "reverse", "jensen-shannon"]


@final
@training_defence
class Divqat(TrainingDefence):
    """The loss of DivQAT: CE(Q, y) - alpha KL(Q || L), Q the quantized model and L the frozen original.

    Khaled et al. 2025, arXiv:2512.23948, equation 4; the divergence is summed over the classes and averaged over the
    batch. With every other field at its default this is the paper's loss. The other fields bound it:

    - `direction`: `forward` is KL(Q || L), the paper's; `reverse` is KL(L || Q), which has no bound; `jensen-shannon`
      is at most log 2.
    - `temperature`: both models' logits are divided by it and the divergence is multiplied by its square, as Nasty
      Teacher does (Ma et al. 2021, arXiv:2105.07381).
    - `floor`: L becomes (1 - floor) L + floor / K, which bounds the forward divergence by log(K / floor).
    - `cap`: an image whose divergence, times the temperature's square, is above this many nats gets no gradient of it.
    - `gate`: the term counts only for images whose label is ahead of every other class by more than this in
      probability; 0 asks only that the label alone is the highest.
    - `hinge`: the term counts only for images whose answer is nearer to the original's than this in l1.

    Gate and hinge look at the probabilities at temperature 1 and without the floor. The images that do not count stay
    in the average, as 0.
    """

    type: Literal["divqat"] = "divqat"
    strength_field = "alpha"
    alpha: float = Field(default=0.1, ge=0)
    direction: Direction = "forward"
    temperature: float = Field(default=1.0, gt=0)
    floor: float = Field(default=0.0, ge=0, lt=1)
    cap: float | None = Field(default=None, gt=0)
    gate: float | None = Field(default=None, ge=0, lt=1)
    hinge: float | None = Field(default=None, ge=0, le=2)

    @property
    def strength(self) -> float:
        """The strength that a search varies: the hinge if there is one, else alpha."""
        return self.alpha if self.hinge is None else self.hinge

    def with_strength(self, strength: float) -> Divqat:
        """Return the same loss with another hinge where it has one, else with another alpha."""
        return self.replace(alpha=strength) if self.hinge is None else self.replace(hinge=strength)

    def batch_loss(
        self, model: nn.Module, original: nn.Module, images: Tensor, labels: Tensor, label_smoothing: float
    ) -> Tensor:
        """Compute the loss of a model on images float32 `[B,3,H,W]` in `[0,1]` and labels int64 `[B]`: a scalar.

        `original` is used as is, so it has to be in evaluation mode; it gets no gradient.
        """
        with torch.no_grad():
            reference = original(images)
        return self.loss(model(images), reference, labels, label_smoothing)

    def loss(self, logits: Tensor, original: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
        """Compute the loss of logits `[B,K]`, the original's logits `[B,K]` and labels int64 `[B]`: a scalar.

        All of it is computed in float32, whatever the logits are. The original's logits get no gradient.
        """
        cross_entropy = F.cross_entropy(logits.float(), labels, label_smoothing=label_smoothing)
        return cross_entropy - self.alpha * self.divergences(logits, original, labels).mean()

    def divergences(self, logits: Tensor, original: Tensor, labels: Tensor) -> Tensor:
        """Compute each image's term before alpha, float32 `[B]`; 0 where it does not count."""
        answer = (logits.float() / self.temperature).log_softmax(1)
        reference = (original.detach().float() / self.temperature).log_softmax(1)
        if self.floor:
            reference = ((1 - self.floor) * reference.exp() + self.floor / reference.shape[1]).log()
        term = self.temperature**2 * divergence(answer, reference, self.direction)
        if self.cap is not None:
            term = term.clamp(max=self.cap)
        counts = self._counting(logits.detach().float(), original.detach().float(), labels)
        return term if counts is None else term * counts

    def _counting(self, logits: Tensor, original: Tensor, labels: Tensor) -> Tensor | None:
        """Return the mask of the images that count: float32 `[B]`; None means all."""
        if self.gate is None and self.hinge is None:
            return None
        answer = logits.softmax(1)
        counts = answer.new_ones(len(answer))
        if self.gate is not None:
            own = answer.gather(1, labels[:, None])
            others = answer.scatter(1, labels[:, None], -math.inf)
            counts = counts * (own[:, 0] - others.amax(1) > self.gate)
        if self.hinge is not None:
            counts = counts * ((answer - original.softmax(1)).abs().sum(1) < self.hinge)
        return counts


def divergence(answer: Tensor, reference: Tensor, direction: Direction = "forward") -> Tensor:
    """Compute the divergence of log-probabilities `[B,K]` from a reference's: float32 `[B]`, in nats.

    `forward` is sum_k q_k (log q_k - log l_k), `reverse` sum_k l_k (log l_k - log q_k), and `jensen-shannon` the mean
    of both sides' forward divergence from the mixture (q + l) / 2. Every log-probability has to be finite.
    """
    if direction == "forward":
        return (answer.exp() * (answer - reference)).sum(1)
    if direction == "reverse":
        return (reference.exp() * (reference - answer)).sum(1)
    mixture = (0.5 * (answer.exp() + reference.exp())).clamp_min(1e-30).log()
    return 0.5 * (divergence(answer, mixture) + divergence(reference, mixture))
