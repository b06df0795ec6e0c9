"""Adaptation as steps that the store keeps: a program, and the float control."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from edgerift import zoo
from edgerift.adapt._compressed import AnyCompression, CompressRecipe, made_by
from edgerift.adapt._methods import ptq, run_finetune, run_qat
from edgerift.adapt._originals import ORIGINAL, Original, open_original, write_history
from edgerift.adapt._settings import QatSettings
from edgerift.deploy import Program, Target
from edgerift.images import ImagesSettings, open_splits
from edgerift.settings import is_none
from edgerift.steps import Progress, Recipe
from edgerift.train import TrainSettings

if TYPE_CHECKING:
    from edgerift.steps import Store

PROGRAM: Final = "program.safetensors"
_CHECKPOINT: Final = "checkpoint.pt"


class AdaptRecipe(Recipe):
    """Adapt an original: `program.safetensors`, and for qat `history.json` and `history.png`.

    `settings.calibration` applies to both methods, `settings.train` and `settings.observe_epochs` to qat only. With a
    `compression` the original is pruned or distilled first, and that model is quantized; qat then keeps the zeros of a
    pruned one. A run that was killed resumes from its last epoch.
    """

    type: Literal["adapt"] = "adapt"
    version: Literal[2] = 2
    original: Original
    images: ImagesSettings
    method: Literal["ptq", "qat"] = "qat"
    target: Target = "mobile"
    settings: QatSettings = Field(default_factory=QatSettings)
    compression: AnyCompression | None = Field(default=None, exclude_if=is_none)

    @property
    def compressing(self) -> CompressRecipe | None:
        """The step that makes the float model which is quantized; None where that is the original itself."""
        if self.compression is None:
            return None
        return CompressRecipe(original=self.original, images=self.images, compression=self.compression)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Adapt, or resume, and write the program into `folder`."""
        original = open_original(self.original, store, progress)
        if self.compressing is None or self.compression is None:
            self._adapted(original, folder, progress).save(folder / PROGRAM)
        else:
            compressed = self.compressing.open(store, progress)
            program = self._adapted(compressed, folder, progress)
            made_by(self.compression, program, original).save(folder / PROGRAM)
        (folder / _CHECKPOINT).unlink(missing_ok=True)

    def _adapted(self, model: zoo.Classifier, folder: Path, progress: Progress) -> Program:
        splits = open_splits(self.images)
        if self.method == "ptq":
            calibration = self.settings.calibration
            return ptq(model, splits.train, target=self.target, settings=calibration, progress=progress)
        keeps_zeros = self.settings.keep_zeros or (self.compression is not None and self.compression.keeps_zeros)
        program, history = run_qat(
            model,
            splits.train,
            splits.validation,
            target=self.target,
            settings=self.settings.replace(keep_zeros=keeps_zeros),
            checkpoint=folder / _CHECKPOINT,
            progress=progress,
        )
        write_history(history, folder)
        return program


class FinetuneRecipe(Recipe):
    """Fine-tune an original in float, for as long as qat: the control; same files as training."""

    type: Literal["finetune"] = "finetune"
    version: Literal[1] = 1
    original: Original
    images: ImagesSettings
    settings: TrainSettings = Field(default_factory=lambda: QatSettings().train)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Train, or resume training, and write the control into `folder`."""
        original = open_original(self.original, store, progress)
        splits = open_splits(self.images)
        checkpoint = folder / _CHECKPOINT
        trained = run_finetune(
            original,
            splits.train,
            splits.validation,
            settings=self.settings,
            checkpoint=checkpoint,
            progress=progress,
        )
        assert isinstance(trained.model, zoo.Classifier)
        zoo.save(trained.model, folder / ORIGINAL)
        write_history(trained.history, folder)
        checkpoint.unlink(missing_ok=True)
