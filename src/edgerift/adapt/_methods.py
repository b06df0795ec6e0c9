"""The adaptations: post-training quantization, quantization-aware training, and the float control."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgerift import zoo
from edgerift.adapt._convert import Converted, quantize
from edgerift.adapt._masks import kept_zeros
from edgerift.adapt._settings import PtqSettings, QatSettings
from edgerift.adapt._targets import TARGETS
from edgerift.deploy import Program, Provenance, Target, trainable_twin
from edgerift.errors import DataError, ModelError, RecipeError, unknown_name
from edgerift.images import ImageSet, in_channels, split, to_float
from edgerift.settings import Settings
from edgerift.steps import Progress, silent
from edgerift.train import History, Loss, Trained, TrainSettings, run

_CALIBRATION_BATCH = 64


def ptq(
    original: nn.Module,
    train: ImageSet,
    *,
    target: Target = "mobile",
    settings: PtqSettings | None = None,
    progress: Progress = silent,
    **settings_fields: Any,
) -> Program:
    """Quantize an original after its training: calibrate on training images, then convert.

    `settings_fields` are fields of :class:`PtqSettings` and go before those of `settings`. The original is not
    changed. Raises :class:`~edgerift.errors.RecipeError` for an unknown target, :class:`~edgerift.errors.ModelError`
    for weights that are not finite, a class count that is not the images', or an original that is not
    deterministic, and :class:`~edgerift.errors.QuantizationError` for an operator that the target cannot run in
    integers, and if the rewritten or quantized model deviates from the original by more than rounding explains.
    """
    chosen = (settings or PtqSettings()).replace(**settings_fields)
    return _converted(original, train, target, chosen, "ptq", chosen.model_dump(mode="json"), progress).program


def float_weights(original: nn.Module, program: Program) -> dict[str, Tensor]:
    """Return the weights `[C,...]` that post-training quantization of an original rounds, by the layers of its program.

    They are the original's with its batch normalisations folded in. For a program that was trained further they are not
    the rounded ones; :func:`edgerift.deploy.restored_twin` detects that. Raises as :func:`ptq` does.
    """
    blank = torch.zeros(1, *program.shape)
    converted = quantize(
        zoo.frozen_copy(original).cpu(),
        [blank],
        target=program.target,
        classes=program.classes,
        shape=program.shape,
        provenance=program.provenance,
    )
    return {layer: one.weight * one.gain for layer, one in converted.weights.items()}


def qat(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | float | None = 0.1,
    *,
    target: Target = "mobile",
    settings: QatSettings | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    **train_fields: Any,
) -> Program:
    """Train the quantized model: start as :func:`ptq`, then train its twin and convert.

    `train_fields` are fields of :class:`~edgerift.train.TrainSettings` (`epochs`, `learning_rate`, ...). A float
    `validation` holds out that share of `train`; it is measured only, not used for selection. Raises what :func:`ptq`
    and `train.run` raise.
    """
    chosen = settings or QatSettings()
    chosen = chosen.replace(train=chosen.train.replace(**train_fields))
    train, held = held_out(train, validation, chosen.train.seed)
    return run_qat(original, train, held, target=target, settings=chosen, checkpoint=checkpoint, progress=progress)[0]


def run_qat(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | None,
    *,
    target: Target,
    settings: QatSettings,
    loss: Loss | None = None,
    method: str = "qat",
    described: Settings | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> tuple[Program, History]:
    """Do what :func:`qat` does and return the history of the training too.

    `loss` is that of :func:`~edgerift.train.run`; `method` and `described` name it in the program's provenance.
    """
    if settings.train.compile:
        raise RecipeError(f"{method} does not take compile=True: its grids move at every step; leave compile out")
    told = settings.model_dump(mode="json")
    if described is not None:
        told[method] = described.model_dump(mode="json")
    converted = _converted(original, train, target, settings.calibration, method, told, progress)
    weights = converted.weights
    if settings.batch_norm == "frozen":
        weights = {layer: one._replace(norm=None) for layer, one in weights.items()}
    student = trainable_twin(converted.program, weights)

    def freeze(_model: nn.Module, epoch: int) -> None:
        student.ranges.observing = epoch < settings.observe_epochs
        student.keep_normalisations_alive(settings.live_epochs is None or epoch < settings.live_epochs)

    trained = run(
        student,
        train,
        validation,
        settings.train,
        loss=loss,
        on_epoch=freeze,
        on_step=kept_zeros(student.weights()) if settings.keep_zeros else None,
        checkpoint=checkpoint,
        progress=progress,
        task=method,
    )
    return student.program(), trained.history


def finetune(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | float | None = 0.1,
    *,
    settings: TrainSettings | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    **train_fields: Any,
) -> nn.Module:
    """Fine-tune a copy of the original in float, for as long as qat: the control for the effect of rounding.

    The original is not changed; the copy is returned in evaluation mode.
    """
    chosen = (settings or QatSettings().train).replace(**train_fields)
    train, held = held_out(train, validation, chosen.seed)
    return run_finetune(original, train, held, settings=chosen, checkpoint=checkpoint, progress=progress).model


def run_finetune(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | None,
    *,
    settings: TrainSettings,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Trained:
    """Do what :func:`finetune` does and return the history of the training too."""
    model = trainable_copy(original)
    return run(model, train, validation, settings, checkpoint=checkpoint, progress=progress, task="finetune")


def trainable_copy(original: nn.Module) -> nn.Module:
    """Copy an original to float32 with all of its parameters to be trained."""
    model = zoo.frozen_copy(original)
    for parameter in model.parameters():  # A scripted module does not take it as a whole.
        parameter.requires_grad_(True)
    return model


def weights_digest(model: nn.Module) -> str:
    """The SHA-256 over names, shapes and values of a model's state, as 32 hex digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{list(tensor.shape)}{tensor.dtype}".encode())
        # As bytes, since numpy has no bfloat16.
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:32]


def _converted(
    original: nn.Module,
    train: ImageSet,
    target: Target,
    calibration: PtqSettings,
    method: str,
    settings: dict[str, Any],
    progress: Progress,
) -> Converted:
    require_fit(original, train, target)
    model = zoo.frozen_copy(original).cpu()
    provenance = Provenance(
        method=method,
        settings=settings,
        original=weights_digest(original),
        # Calibration sees no labels; every other method learns them.
        classes=known_classes(original) if method == "ptq" else train.classes,
        trained_on=None if method == "ptq" else len(train),
    )
    shape = train.shape._replace(channels=zoo.channels_of(model, train.shape))
    return quantize(
        model,
        (in_channels(batch, shape.channels) for batch in _calibration(train, calibration, progress)),
        target=target,
        classes=len(train.classes),
        shape=shape,
        provenance=provenance,
    )


def require_fit(original: nn.Module, train: ImageSet, target: Target) -> None:
    """Check the inputs of an adaptation; raises what :func:`ptq` names."""
    if target not in TARGETS:
        raise RecipeError(unknown_name("target", target, TARGETS))
    if len(train) == 0:
        raise DataError(f"image set '{train.name}' has no images to calibrate on; give at least one")
    zoo.check(original, len(train.classes))
    zoo.check_classes(known_classes(original), train.classes, train.name)
    _require_finite(original)


def known_classes(original: nn.Module) -> tuple[str, ...]:
    """Return the class names of a model's answers; empty if its file does not name them."""
    learned = original.learned if isinstance(original, zoo.Classifier) else None
    return () if learned is None else learned.classes


def _calibration(train: ImageSet, settings: PtqSettings, progress: Progress) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(settings.seed)
    chosen = torch.randperm(len(train), generator=generator)[: settings.calibration_images]
    for start in range(0, len(chosen), _CALIBRATION_BATCH):
        progress("calibrate", start, len(chosen))
        yield to_float(train.images[chosen[start : start + _CALIBRATION_BATCH]])
    progress("calibrate", len(chosen), len(chosen))


def held_out(train: ImageSet, validation: ImageSet | float | None, seed: int) -> tuple[ImageSet, ImageSet | None]:
    """Hold a share of the training images out when `validation` is a number."""
    if isinstance(validation, float | int):
        return split(train, validation, seed=seed)
    return train, validation


def _require_finite(model: nn.Module) -> None:
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"weight '{name}' of the original holds NaN or infinity; train it again or load another")
