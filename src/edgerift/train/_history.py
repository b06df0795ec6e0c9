"""The measurements of a training run per epoch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from edgerift.errors import RecipeError, StoreError
from edgerift.settings import Settings


@dataclass(frozen=True)
class Epoch:
    """One epoch: means over its images, and the learning rate of its first step.

    `train_accuracy` (of the augmented images, while the weights moved) is None where the loss did not run
    the model on the batch; both validation figures are None where nothing was held out. `validation_loss`
    is the cross-entropy.
    """

    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float


@dataclass(frozen=True)
class History:
    """All epochs of a run. It holds no times, so that the same run has the same history."""

    epochs: tuple[Epoch, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the history as plain values: `{"epochs": [{"train_loss": ..., ...}, ...]}`."""
        return {"epochs": [asdict(epoch) for epoch in self.epochs]}

    def as_json(self) -> str:
        """Write the history as indented JSON."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"

    def plus(self, epoch: Epoch) -> History:
        """Return the history with one epoch more."""
        return History((*self.epochs, epoch))


class _Epoch(Settings):
    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float


class _Epochs(Settings):
    epochs: tuple[_Epoch, ...]


def read_history(text: str | bytes) -> History:
    """Read what `History.as_json` wrote; raises `StoreError` for anything else."""
    try:
        found = _Epochs.model_validate_json(text)
    except RecipeError as error:
        raise StoreError(f"this is not a training history ({error}); train again") from None
    return History(tuple(Epoch(**dict(epoch)) for epoch in found.epochs))
