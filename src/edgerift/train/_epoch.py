"""One epoch of steps and one validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift.errors import DivergedError, ModelError
from edgerift.train._adversarial import attacked_accuracy
from edgerift.train._data import Batch, DeviceData
from edgerift.train._history import Epoch
from edgerift.train._loss import Loss, Read
from edgerift.train._random import seeded_layers
from edgerift.train._schedule import learning_rate
from edgerift.train._settings import TrainSettings

STEPS_BETWEEN_CHECKS = 50
#: The held-out images that an adversarial training is measured on.
ATTACKED = 500


@dataclass(frozen=True)
class Work:
    """The state of an epoch; `runner` is `model` or its compiled form, `read` makes logits of its answers."""

    model: nn.Module
    runner: nn.Module
    read: Read
    optimizer: torch.optim.Optimizer
    loss: Loss
    data: DeviceData
    held: DeviceData | None
    settings: TrainSettings
    classes: int
    on_step: Callable[[nn.Module, float], None] | None = None

    def autocast(self) -> torch.autocast:
        """Run in bfloat16 autocast, where the settings say so."""
        reduced = self.settings.precision == "bfloat16"
        return torch.autocast(self.data.images.device.type, dtype=torch.bfloat16, enabled=reduced)


@final
class Watch:
    """A forward hook that keeps the first answer of a step in training mode, independent of other uses in the loss."""

    def __init__(self, classes: int) -> None:
        """Expect logits `[B, classes]`."""
        self.classes = classes
        self.logits: Tensor | None = None

    def __call__(self, module: nn.Module, _inputs: object, output: object) -> None:
        """Keep the answer; raises `ModelError` when its width is not the class count."""
        if self.logits is None and module.training and isinstance(output, Tensor):
            require_width(output, self.classes)
            self.logits = output.detach()

    def correct(self, labels: Tensor) -> Tensor:
        """Count how many of the kept answers are right (NaN where none fits `labels`), and forget them."""
        logits, self.logits = self.logits, None
        if logits is None or len(logits) != len(labels):
            return torch.full((), torch.nan, device=labels.device)
        return (logits.argmax(dim=1) == labels).sum().float()


def require_width(logits: Tensor, classes: int) -> None:
    """Raise `ModelError` when answers are not `[B, classes]`."""
    if logits.ndim != 2 or logits.shape[1] != classes:
        raise ModelError(
            f"the model answers {list(logits.shape)} for a batch; "
            f"with {classes} classes in the data it has to return logits [N, {classes}]"
        )


def train_epoch(work: Work, epoch: int, stepped: Callable[[int], None]) -> Epoch:
    """Take one step for each batch, then measure on the held-out images.

    `stepped` is called after each step with the number of steps done. Raises `DivergedError` for a loss or a weight
    that is not finite.
    """
    device = work.data.images.device
    # Nothing is read back from the device in a step: it would have to wait for the step to end.
    losses, correct = torch.zeros(2, len(work.data), device=device)
    watch = Watch(work.classes)
    hook = work.runner.register_forward_hook(watch)
    try:
        with seeded_layers(work.settings.seed, epoch, device):
            for step, batch in enumerate(work.data.epoch(epoch)):
                try:
                    losses[step] = _step(work, batch, epoch * len(work.data) + step)
                except Exception:
                    # With weights that are not finite a model may raise any error; then that is the reason.
                    _require_finite(losses[:step], epoch, work.settings)
                    if epoch or step:
                        _require_finite_weights(work, f"epoch {epoch + 1}, step {step + 1}")
                    raise
                correct[step] = watch.correct(batch.labels)
                if (step + 1) % STEPS_BETWEEN_CHECKS == 0:
                    _require_finite(losses[: step + 1], epoch, work.settings)
                stepped(step + 1)
    finally:
        hook.remove()
    _require_finite(losses, epoch, work.settings)
    _require_finite_weights(work, f"the end of epoch {epoch + 1}")
    return _measured(work, epoch, losses, correct)


def evaluate(work: Work, data: DeviceData) -> tuple[float, float]:
    """Measure the mean cross-entropy and the accuracy of the model on all images, in evaluation mode."""
    work.model.eval()
    total = torch.zeros(2, dtype=torch.float64, device=data.images.device)
    # Not in inference mode: tensors that observers of a quantized model keep here are used in the next backward pass.
    with torch.no_grad(), work.autocast():
        for batch in data.in_order():
            answers = work.model(batch.images)
            require_width(answers, work.classes)
            logits = work.read(answers.float())
            total[0] += F.cross_entropy(logits, batch.labels, reduction="sum")
            total[1] += (logits.argmax(dim=1) == batch.labels).sum()
    loss, accuracy = (total / len(data.images)).tolist()
    return loss, accuracy


def _step(work: Work, batch: Batch, step: int) -> Tensor:
    steps = work.settings.epochs * len(work.data)
    rate = learning_rate(work.settings, step, steps)
    for group in work.optimizer.param_groups:
        group["lr"] = rate
    work.optimizer.zero_grad(set_to_none=True)
    with work.autocast():
        value = work.loss(work.runner, batch.images, batch.targets)
    if not value.requires_grad:
        raise ModelError(
            "the loss has no gradient: nothing could be trained; take no_grad(), inference_mode() and detach() out of "
            "the model's forward"
        )
    value.backward()
    work.optimizer.step()
    if work.on_step is not None:
        work.on_step(work.model, (step + 1) / steps)
    return value.detach()


def _require_finite(losses: Tensor, epoch: int, settings: TrainSettings) -> None:
    wrong = (~torch.isfinite(losses)).nonzero()
    if len(wrong):
        step = int(wrong[0])
        raise _diverged("loss", float(losses[step]), f"epoch {epoch + 1}, step {step + 1}", settings)


def _require_finite_weights(work: Work, where: str) -> None:
    """Check the weights after a step: no loss has been computed with them yet."""
    for name, parameter in work.model.named_parameters():
        if not bool(torch.isfinite(parameter.detach()).all()):
            value = float(parameter.detach()[~torch.isfinite(parameter.detach())].flatten()[0])
            raise _diverged(f"weight '{name}'", value, where, work.settings)


def _diverged(what: str, value: float, where: str, settings: TrainSettings) -> DivergedError:
    return DivergedError(
        f"the {what} is {value} at {where}: training diverged; "
        f"set a learning_rate smaller than {settings.learning_rate:g}"
    )


def _measured(work: Work, epoch: int, losses: Tensor, correct: Tensor) -> Epoch:
    count = len(work.data.images)
    sizes = torch.full((len(work.data),), work.settings.batch_size, dtype=torch.float64)
    sizes[-1] = count - work.settings.batch_size * (len(work.data) - 1)
    right = float(correct.double().sum())
    held = (None, None) if work.held is None else evaluate(work, work.held)
    if held[0] is not None and not math.isfinite(held[0]):
        raise _diverged("validation loss", held[0], f"epoch {epoch + 1}", work.settings)
    return Epoch(
        train_loss=float((losses.cpu().double() * sizes).sum()) / count,
        train_accuracy=None if math.isnan(right) else right / count,
        validation_loss=held[0],
        validation_accuracy=held[1],
        learning_rate=learning_rate(work.settings, epoch * len(work.data), work.settings.epochs * len(work.data)),
        attacked_accuracy=_attacked(work, epoch),
    )


def _attacked(work: Work, epoch: int) -> float | None:
    """Attack held-out images of an adversarial training, at its own epsilon."""
    attacker = work.settings.adversary
    if attacker is None or work.held is None:
        return None
    work.model.eval()
    few = next(work.held.in_order())
    with seeded_layers(work.settings.seed, epoch, few.images.device), work.autocast():
        return attacked_accuracy(work.model, work.read, few.images[:ATTACKED], few.labels[:ATTACKED], attacker.epsilon)
