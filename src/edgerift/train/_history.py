"""The measurements of a training run per epoch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from edgerift.errors import RecipeError, StoreError
from edgerift.settings import Settings

#: How far the accuracy under attack falls when a model overfits to its attacker, as in Wong et al. 2020.
_COLLAPSE: Final = 0.20


@dataclass(frozen=True)
class Epoch:
    """One epoch: means over its images, and the learning rate of its first step.

    `train_accuracy` (of the augmented images, while the weights moved) is None where the loss did not run
    the model on the batch; both validation figures are None where nothing was held out. `validation_loss`
    is the cross-entropy. `attacked_accuracy`, of an adversarial training alone, is that of up to 500 validation images
    after ten steps of PGD.
    """

    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    attacked_accuracy: float | None = None


@dataclass(frozen=True)
class History:
    """All epochs of a run. It holds no times, so that the same run has the same history."""

    epochs: tuple[Epoch, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the history as plain values: `{"epochs": [{"train_loss": ..., ...}, ...]}`."""
        return {"epochs": [_told(epoch) for epoch in self.epochs]}

    def as_json(self) -> str:
        """Write the history as indented JSON."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n"

    @property
    def collapsed(self) -> int | None:
        """The first epoch, counted from 1, whose accuracy under attack is over 20 points below an earlier one's."""
        best = 0.0
        for number, epoch in enumerate(self.epochs, 1):
            reached = epoch.attacked_accuracy
            if reached is not None and reached < best - _COLLAPSE:
                return number
            best = max(best, reached or 0.0)
        return None

    def plus(self, epoch: Epoch) -> History:
        """Return the history with one epoch more."""
        return History((*self.epochs, epoch))


def _told(epoch: Epoch) -> dict[str, Any]:
    """Leave out what only an adversarial training has."""
    told = asdict(epoch)
    if epoch.attacked_accuracy is None:
        del told["attacked_accuracy"]
    return told


class _Epoch(Settings):
    train_loss: float
    train_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    attacked_accuracy: float | None = None


class _Epochs(Settings):
    epochs: tuple[_Epoch, ...]


def read_history(text: str | bytes) -> History:
    """Read what `History.as_json` wrote; raises `StoreError` for anything else."""
    try:
        found = _Epochs.model_validate_json(text)
    except RecipeError as error:
        raise StoreError(f"this is not a training history ({error}); train again") from None
    return History(tuple(Epoch(**dict(epoch)) for epoch in found.epochs))
