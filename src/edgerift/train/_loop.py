"""The loop: epochs, a history, a checkpoint and an exact resume."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgerift import zoo
from edgerift.errors import DataError, ModelError, RecipeError, TrainingWarning
from edgerift.images import ImageSet, split
from edgerift.measure import LogitsReader
from edgerift.steps import Progress, silent
from edgerift.train._adversarial import adversarial_loss
from edgerift.train._checkpoint import Progressed, read_checkpoint, run_key, write_checkpoint
from edgerift.train._data import DeviceData, on_device
from edgerift.train._device import choose_device, placed, repeatable
from edgerift.train._epoch import Work, train_epoch
from edgerift.train._history import Epoch, History
from edgerift.train._loss import Loss, Read
from edgerift.train._settings import TrainSettings

OnEpoch = Callable[[nn.Module, int], None]
OnStep = Callable[[nn.Module, float], None]
AnyModule = TypeVar("AnyModule", bound=nn.Module)


class Trained(NamedTuple):
    """The trained model, in evaluation mode, and its history."""

    model: nn.Module
    history: History


class Resume(NamedTuple):
    """A checkpoint's path and the name of the run that it has to belong to."""

    path: Path
    key: str


def fit(
    model: AnyModule,
    train: ImageSet,
    validation: ImageSet | float | None = 0.1,
    *,
    settings: TrainSettings | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    **settings_fields: Any,
) -> AnyModule:
    """Train a model on images and labels, and return it (the same object) in evaluation mode.

    A float `validation` holds out that share of `train`, drawn with the seed of the settings; None holds out nothing.
    `settings_fields` are fields of `TrainSettings` and override those of `settings`. See `run` for what is raised.
    """
    chosen = (settings or TrainSettings()).replace(**settings_fields)
    held: ImageSet | None
    if isinstance(validation, float | int):
        train, held = split(train, validation, seed=chosen.seed)
    else:
        held = validation
    run(model, train, held, chosen, checkpoint=checkpoint, progress=progress)
    return model


def run(
    model: nn.Module,
    train: ImageSet,
    validation: ImageSet | None,
    settings: TrainSettings,
    *,
    loss: Loss | None = None,
    targets: Tensor | None = None,
    on_epoch: OnEpoch | None = None,
    on_step: OnStep | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    task: str = "train",
) -> Trained:
    """Train a model in place and return the history of its epochs.

    `loss(model, images, targets)` answers a scalar for float images `[B, C, H, W]` in `[0, 1]`; without one it is the
    cross-entropy with the settings' label smoothing. For that, and for the validation, the logarithms of answers that
    are probabilities, in either mode, are used, with a `ProbabilitiesWarning`; a given loss gets the model. `targets`
    holds a row for each training image that the loss gets in place of its label (posteriors `[N, K]`, say).
    `on_epoch(model, epoch)` is called before each epoch, counted from 0, with the model in training mode; a resumed run
    does not call it for epochs already done, so it has to act on the number alone. `on_step(model, done)` is called
    after each optimizer step, with the share in (0, 1] of all steps that are done. With `checkpoint` the state is
    written after each epoch, and a run that finds its own checkpoint resumes from it, to the same weights as an
    uninterrupted run; the caller removes the file. The last epoch's weights are the result: validation is measured,
    nothing is selected by it. An `adversary` adds the accuracy under attack to the history; a fall by more than 20
    points is a `TrainingWarning`: the model has learned to mislead its attacker (catastrophic overfitting, Wong 2020).
    `progress` is called for each step, with a line about the last epoch as its note, after an epoch's checkpoint. The
    model ends on the device it came from, in evaluation mode, without gradients.

    Raises `ModelError` for a class count that is not that of the images, `DivergedError` for a loss that is not finite,
    `DataError` for sets that are empty or do not belong together, `RecipeError` for an adversary or mixup beside a
    loss, `StoreError` for a checkpoint that is damaged or of another run, `MissingRuntimeError` for a missing device.
    """
    _require_fit(model, train, validation, targets)
    _require_one_loss(loss, settings, targets)
    device = choose_device(settings.device)
    key = "" if checkpoint is None else run_key(model, train, validation, targets, settings)
    resume = None if checkpoint is None else Resume(Path(checkpoint), key)
    put = functools.partial(on_device, settings=settings, device=device, channels=zoo.channels_of(model, train.shape))
    data, held = put(train, targets), None if validation is None else put(validation, None)
    with repeatable(device), placed(model, device, data.memory_format):
        work = _work(model, data, held, settings, loss, on_step, len(train.classes))
        history = _epochs(work, on_epoch, resume, progress, task)
    model.eval()
    _warn_of_collapse(history)
    if isinstance(model, zoo.Classifier):
        # Rows of targets are another model's answers, whose classes the labels do not name.
        model.learned = _learned(train, validation, history) if targets is None else None
    return Trained(model, history)


def _work(
    model: nn.Module,
    data: DeviceData,
    held: DeviceData | None,
    settings: TrainSettings,
    loss: Loss | None,
    on_step: OnStep | None,
    classes: int,
) -> Work:
    read = _unread if isinstance(model, zoo.Classifier) else LogitsReader("the model")
    runner, optimizer = _runner(model, settings), _optimizer(model, settings)
    learned = loss or _own_loss(settings, read)
    return Work(model, runner, read, optimizer, learned, data, held, settings, classes, on_step)


def _warn_of_collapse(history: History) -> None:
    epoch = history.collapsed
    if epoch is not None:
        warnings.warn(
            f"the accuracy under attack fell by more than 20 points in epoch {epoch}, to "
            f"{history.epochs[epoch - 1].attacked_accuracy:.1%}: the model only resists the attacker that trained it; "
            "use more and smaller steps, such as the adversary pgd-7, or fewer epochs",
            TrainingWarning,
            stacklevel=3,
        )


def _learned(train: ImageSet, validation: ImageSet | None, history: History) -> zoo.Learned:
    reached = history.epochs[-1].validation_accuracy if history.epochs else None
    images = None if reached is None or validation is None else len(validation)
    return zoo.Learned(data=train.name, classes=train.classes, accuracy=reached, images=images)


def _epochs(work: Work, on_epoch: OnEpoch | None, resume: Resume | None, progress: Progress, task: str) -> History:
    found = read_checkpoint(*resume, work.model, work.optimizer) if resume else None
    first, history = found or Progressed(0, History())
    steps, epochs, note = len(work.data), work.settings.epochs, ""
    for epoch in range(first, epochs):
        started = time.perf_counter()
        work.model.train()
        if on_epoch is not None:
            on_epoch(work.model, epoch)

        def stepped(step: int, before: int = epoch * steps, note: str = note) -> None:
            if step < steps:
                progress(task, before + step, epochs * steps, note)

        history = history.plus(train_epoch(work, epoch, stepped))
        if resume:
            write_checkpoint(*resume, work.model, work.optimizer, Progressed(epoch + 1, history))
        note = _note(epoch + 1, epochs, history.epochs[-1], time.perf_counter() - started)
        progress(task, (epoch + 1) * steps, epochs * steps, note)
    return history


def _note(number: int, epochs: int, epoch: Epoch, seconds: float) -> str:
    parts = [f"loss {epoch.train_loss:.3f}"]
    if epoch.train_accuracy is not None:
        parts.append(f"accuracy {epoch.train_accuracy:.1%}")
    if epoch.validation_accuracy is not None:
        parts.append(f"validation {epoch.validation_accuracy:.1%}")
    if epoch.attacked_accuracy is not None:
        parts.append(f"attacked {epoch.attacked_accuracy:.1%}")
    return f"epoch {number}/{epochs}: {', '.join(parts)} ({seconds:.1f} s)"


def _runner(model: nn.Module, settings: TrainSettings) -> nn.Module:
    """Compile a model where the settings say so; what runs takes hooks, which a scripted module does not."""
    runner = torch.compile(model) if settings.compile else model
    assert isinstance(runner, nn.Module)
    return nn.Sequential(runner) if isinstance(runner, torch.jit.ScriptModule) else runner


def _unread(answers: Tensor, *, training: bool = False) -> Tensor:
    return answers


def _own_loss(settings: TrainSettings, read: Read) -> Loss:
    attacker = settings.adversary
    if attacker is not None and not attacker.is_idle:
        return adversarial_loss(attacker, read, settings.label_smoothing)

    def loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(read(model(images), training=True), targets, label_smoothing=settings.label_smoothing)

    return loss


def _optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _require_one_loss(loss: Loss | None, settings: TrainSettings, targets: Tensor | None) -> None:
    if loss is not None and settings.adversary is not None:
        raise RecipeError("an adversary changes the default loss, and this training has its own; leave adversary out")
    if settings.mixup and loss is not None and targets is None:
        raise RecipeError("mixup makes rows of labels, and the loss of this training takes labels; leave mixup out")


def _require_fit(model: nn.Module, train: ImageSet, validation: ImageSet | None, targets: Tensor | None) -> None:
    zoo.check(model, len(train.classes))
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError("the model has no parameter that can be trained; give one with requires_grad=True")
    if len(train) == 0 or (validation is not None and len(validation) == 0):
        raise DataError(f"image set '{train.name}' has no images to train or to validate on; give at least one")
    if validation is not None and validation.classes != train.classes:
        raise DataError(
            f"validation set '{validation.name}' has other classes than '{train.name}'; split both from one set"
        )
    if targets is not None and len(targets) != len(train):
        raise DataError(f"{len(targets)} targets for {len(train)} images of '{train.name}'; give one row for each")
