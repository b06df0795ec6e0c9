"""Pruned and distilled models, in float: functions, and the step that the store keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, Union

from pydantic import BeforeValidator, Field
from torch import nn

from edgerift import zoo
from edgerift.adapt._compression import COMPRESSIONS, Compression
from edgerift.adapt._methods import held_out, weights_digest
from edgerift.adapt._originals import ORIGINAL, Original, open_original, write_history
from edgerift.adapt.compressions._distillation import Distillation
from edgerift.adapt.compressions._pruning import Pruning
from edgerift.deploy import Program
from edgerift.images import ImageSet, ImagesSettings, open_splits
from edgerift.settings import typed
from edgerift.steps import Progress, Recipe, silent
from edgerift.train import Trained, TrainRecipe

if TYPE_CHECKING:
    from edgerift.steps import Store

_CHECKPOINT: Final = "checkpoint.pt"

if TYPE_CHECKING:
    AnyCompression: TypeAlias = Compression
else:
    AnyCompression = Annotated[Union[(*COMPRESSIONS.parts(),)], Field(discriminator="type"), BeforeValidator(typed)]
"""Any compression; in JSON it is identified by the field `type`."""


def prune(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | float | None = 0.1,
    *,
    sparsity: float | None = None,
    settings: Pruning | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    **train_fields: Any,
) -> nn.Module:
    """Prune a copy of an original while it trains further: in each layer this share of the weights is 0 in the end.

    `train_fields` are fields of :class:`~edgerift.train.TrainSettings` and go before those of `settings`. The copy is
    returned in evaluation mode. To quantize it, give it to :func:`ptq`, or to :func:`qat` with `keep_zeros` in the
    settings. Raises what :func:`finetune` raises, and :class:`~edgerift.errors.RecipeError` for settings that are not
    allowed.
    """
    chosen = settings or Pruning()
    chosen = chosen.replace(sparsity=chosen.sparsity if sparsity is None else sparsity)
    return _compressed(chosen, original, train, validation, checkpoint, progress, train_fields).model


def distil(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | float | None = 0.1,
    *,
    settings: Distillation | None = None,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    student: str | None = None,
    temperature: float | None = None,
    hard: float | None = None,
    **train_fields: Any,
) -> nn.Module:
    """Train a student on an original's answers; see :class:`Distillation` for the loss.

    `train_fields` are fields of :class:`~edgerift.train.TrainSettings`; they, `student`, `temperature` and `hard` go
    before those of `settings`. The student is returned in evaluation mode, as a `zoo.Classifier`. Raises what
    :func:`finetune` raises, and :class:`~edgerift.errors.RecipeError` for settings that are not allowed.
    """
    chosen = settings or Distillation()
    given = {"student": student, "temperature": temperature, "hard": hard}
    chosen = chosen.replace(**{name: value for name, value in given.items() if value is not None})
    return _compressed(chosen, original, train, validation, checkpoint, progress, train_fields).model


def _compressed(
    chosen: Compression,
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | float | None,
    checkpoint: Path | None,
    progress: Progress,
    train_fields: dict[str, Any],
) -> Trained:
    chosen = chosen.replace(train=chosen.train.replace(**train_fields))
    train, held = held_out(train, validation, chosen.train.seed)
    return chosen.compress(original, train, held, checkpoint=checkpoint, progress=progress)


def made_by(compression: Compression, program: Program, original: nn.Module) -> Program:
    """Say in a program's provenance that it was quantized from a compressed model of this original."""
    before = program.provenance
    provenance = before.replace(
        method=f"{compression.type}+{before.method}",
        settings={**before.settings, compression.type: compression.model_dump(mode="json")},
        original=weights_digest(original),
    )
    return replace(program, provenance=provenance)


class CompressRecipe(Recipe):
    """Prune or distil an original in float: `original.safetensors`, `history.json` and `history.png`, as training.

    A run that was killed resumes from its last epoch.
    """

    type: Literal["compress"] = "compress"
    version: Literal[1] = 1
    original: Original
    images: ImagesSettings
    compression: AnyCompression

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Train, or resume training, and write the compressed model into `folder`."""
        original = open_original(self.original, store, progress)
        splits = open_splits(self.images)
        checkpoint = folder / _CHECKPOINT
        trained = self.compression.compress(
            original, splits.train, splits.validation, checkpoint=checkpoint, progress=progress
        )
        assert isinstance(trained.model, zoo.Classifier)
        zoo.save(trained.model, folder / ORIGINAL)
        write_history(trained.history, folder)
        checkpoint.unlink(missing_ok=True)

    def open(self, store: Store, progress: Progress) -> zoo.Classifier:
        """Read the compressed model, made when missing; it is trusted as far as its original is."""
        trust = isinstance(self.original, TrainRecipe) or self.original.trust
        return zoo.load(store.get(self, progress) / ORIGINAL, trust=trust)
