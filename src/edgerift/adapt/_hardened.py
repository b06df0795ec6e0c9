"""Training with a defence in the loss: DivQAT and its relatives, in the quantized model or in float before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, TypeAlias, Union, get_args

from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from edgerift import zoo
from edgerift.adapt._methods import ptq, require_fit, run_qat, trainable_copy, weights_digest
from edgerift.adapt._originals import Original, open_original, write_history
from edgerift.adapt._recipe import PROGRAM
from edgerift.adapt._settings import QatSettings
from edgerift.adapt._training_defence import TRAINING_DEFENCES, TrainingDefence
from edgerift.deploy import Program, Provenance, Target, folded
from edgerift.errors import RecipeError, unknown_name
from edgerift.images import ImageSet, ImagesSettings, open_splits
from edgerift.measure import LogitsModule
from edgerift.settings import typed
from edgerift.steps import Progress, Recipe, silent
from edgerift.train import History, Loss, TrainSettings, run

if TYPE_CHECKING:
    from edgerift.steps import Store

_CHECKPOINT = "checkpoint.pt"

if TYPE_CHECKING:
    TrainedDefence: TypeAlias = TrainingDefence
else:
    TrainedDefence = Annotated[
        Union[(*TRAINING_DEFENCES.parts(),)], Field(discriminator="type"), BeforeValidator(typed)
    ]
"""Any training defence, which changes the loss; in JSON it is identified by the field `type`."""

Stage: TypeAlias = Literal["quantized", "float"]


class DefendedTraining(NamedTuple):
    """A program trained with a defence, and the history of the training."""

    program: Program
    history: History


def run_hardened(
    original: nn.Module,
    train: ImageSet,
    validation: ImageSet | None,
    *,
    target: Target,
    defence: TrainedDefence,
    settings: QatSettings,
    stage: Stage = "quantized",
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> DefendedTraining:
    """Train with a defence's loss: the quantized model itself, or a float copy that is quantized afterwards.

    The second, `stage="float"`, is the baseline that shows whether quantization during training matters. The program's
    provenance names the defence as its method, and holds the settings and the defence's fields; for the second also
    `"stage": "float"`. Raises what :func:`qat` raises.
    """
    if stage not in get_args(Stage):
        raise RecipeError(unknown_name("stage", stage, get_args(Stage)))
    require_fit(original, train, target)
    loss = defence_loss(original, defence, settings.train)
    if stage == "quantized":
        found = run_qat(
            original,
            train,
            validation,
            target=target,
            settings=settings,
            loss=loss,
            method=defence.type,
            described=defence,
            checkpoint=checkpoint,
            progress=progress,
        )
        return DefendedTraining(*found)
    model = trainable_copy(original)
    trained = run(
        model if isinstance(model, zoo.Classifier) else LogitsModule(model, "the original", asks_more=False),
        train,
        validation,
        settings.train,
        loss=loss,
        checkpoint=checkpoint,
        progress=progress,
        task=f"{defence.type} in float",
    )
    program = ptq(model, train, target=target, settings=settings.calibration, progress=progress)
    provenance = _from_float(original, defence, settings, train.classes)
    return DefendedTraining(replace(program, provenance=provenance), trained.history)


def _from_float(
    original: nn.Module, defence: TrainedDefence, settings: QatSettings, classes: tuple[str, ...]
) -> Provenance:
    """Describe the provenance of a program that `ptq` made from other weights than the original's."""
    told = settings.model_dump(mode="json") | {defence.type: defence.model_dump(mode="json"), "stage": "float"}
    return Provenance(method=defence.type, settings=told, original=weights_digest(original), classes=classes)


def defence_loss(original: nn.Module, defence: TrainedDefence, settings: TrainSettings) -> Loss:
    """Make the loss of a defence for `train.run`: `loss(model, images, labels)`, with a frozen copy of the original.

    The copy is folded and in evaluation mode, so `original` itself is never changed; it returns logits, whatever
    `original` returns.
    """
    reference = LogitsModule(folded(zoo.frozen_copy(original)), "the original")

    def loss(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
        reference.to(images.device)
        return defence.batch_loss(model, reference, images, labels, settings.label_smoothing)

    return loss


class HardenedRecipe(Recipe):
    """Adapt an original with a defence in the training: `program.safetensors`, `history.json` and `history.png`.

    A run that was killed resumes from its last epoch.
    """

    type: Literal["hardened"] = "hardened"
    version: Literal[3] = 3
    original: Original
    images: ImagesSettings
    defence: TrainedDefence
    stage: Stage = "quantized"
    target: Target = "mobile"
    settings: QatSettings = Field(default_factory=QatSettings)

    def produce(self, folder: Path, store: Store, progress: Progress) -> None:
        """Train, or resume training, and write the program into `folder`."""
        splits = open_splits(self.images)
        checkpoint = folder / _CHECKPOINT
        program, history = run_hardened(
            open_original(self.original, store, progress),
            splits.train,
            splits.validation,
            target=self.target,
            defence=self.defence,
            settings=self.settings,
            stage=self.stage,
            checkpoint=checkpoint,
            progress=progress,
        )
        program.save(folder / PROGRAM)
        write_history(history, folder)
        checkpoint.unlink(missing_ok=True)
