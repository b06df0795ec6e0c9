"""Distillation: a student learns the answers of the original."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

from pydantic import Field, PositiveFloat

from edgerift import deploy, measure, zoo
from edgerift import train as training
from edgerift._lazy import later
from edgerift.adapt._compression import Compression, compression, teacher_classes
from edgerift.errors import RecipeError
from edgerift.settings import is_none
from edgerift.train import TrainSettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from edgerift.images import ImageSet
    from edgerift.steps import Progress
    from edgerift.train import Loss, Trained
else:
    torch, F = later("torch", "torch.nn.functional")


@final
@compression
class Distillation(Compression):
    """Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv:1503.02531).

    The loss is `(1 - hard) * T**2 * KL(p || q) + hard * CE(q, label)`, with both models' logits divided by the
    `temperature` T in the first term, p of the original and q of the student. The factor keeps the share `hard` of the
    labels what it says at any temperature. The original answers the same augmented batch, in evaluation mode.

    `student` is an architecture of the zoo, or a user's `module:factory`; by default the original's own. Its weights
    are drawn from the training's seed, or are those of ImageNet where it is `pretrained`. `train` is the training.
    """

    title = "distilled"
    starts_anew = True

    type: Literal["distil"] = "distil"
    student: str | None = Field(default=None, exclude_if=is_none)
    stem: Literal["small", "imagenet"] = "small"
    pretrained: bool = False
    temperature: PositiveFloat = 4.0
    hard: float = Field(default=0.1, ge=0, le=1)
    train: TrainSettings = Field(default_factory=TrainSettings)

    def loss(self, logits: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of a student's logits `[B,K]` for the teacher's `[B,K]` and labels int64 `[B]`: a scalar.

        All of it is computed in float32. The teacher's logits get no gradient.
        """
        learned = (logits.float() / self.temperature).log_softmax(1)
        known = (teacher.detach().float() / self.temperature).log_softmax(1)
        soft = self.temperature**2 * F.kl_div(learned, known, log_target=True, reduction="batchmean")
        smoothing = self.train.label_smoothing
        hard = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        return (1 - self.hard) * soft + self.hard * hard

    def compress(
        self,
        original: nn.Module,
        train: ImageSet,
        validation: ImageSet | None,
        *,
        checkpoint: Path | None,
        progress: Progress,
    ) -> Trained:
        """Train a student; with `hard` 1 that is training without the original."""
        teacher_classes(original, train)
        student = self._student(original, train)
        loss = None if self.hard == 1 else self._batch_loss(original, student)
        settings = self.train
        return training.run(
            student, train, validation, settings, loss=loss, checkpoint=checkpoint, progress=progress, task=self.type
        )

    def _batch_loss(self, original: nn.Module, student: zoo.Classifier) -> Loss:
        teacher = measure.LogitsModule(deploy.folded(zoo.frozen_copy(original)), "the original")

        def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
            teacher.to(images.device)
            with torch.no_grad():
                answers = teacher(images)
            return self.loss(model(images), answers, labels)

        return loss

    def _student(self, original: nn.Module, train: ImageSet) -> zoo.Classifier:
        own = original.architecture if isinstance(original, zoo.Classifier) else None
        if self.student is None and (own is None or own.specification is not None):
            raise RecipeError("the original is no network of the zoo that could be made again; name a student")
        if self.student is None:
            assert own is not None
            return zoo.from_architecture(own.replace(pretrained=False), seed=self.train.seed)
        shape = train.shape
        fields: dict[str, Any] = {"size": shape.size, "channels": zoo.channels_of(original, shape)}
        fields |= {"stem": self.stem, "pretrained": self.pretrained}
        return zoo.create(self.student, len(train.classes), seed=self.train.seed, **fields)
