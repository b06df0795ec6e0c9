"""The settings of the adaptations."""

from __future__ import annotations

import operator
from typing import Literal, Self

from pydantic import Field, model_validator

from edgerift.settings import Count, Seed, Settings, Times, TimesOrNone, is_none
from edgerift.train import TrainSettings


def _is_frozen(batch_norm: str) -> bool:
    return batch_norm == "frozen"


class PtqSettings(Settings):
    """Post-training quantization: how many training images the observers see, drawn with `seed`."""

    calibration_images: Count = 1024
    seed: Seed = 0


class QatSettings(Settings):
    """Quantization-aware training: a calibration, then `train` epochs of the trainable twin.

    The activations' ranges follow the batches for `observe_epochs` epochs and are frozen for the rest. `batch_norm`
    says what becomes of batch normalisations behind layers: `frozen` ones are folded with their figures as they are,
    `alive` ones are folded anew at each step while they follow the batches as in a float training, for `live_epochs`
    epochs (all by default), and are frozen for the rest. With `keep_zeros` weights of the original that are 0, as those
    that were pruned, stay 0. Raises :class:`~edgerift.errors.RecipeError` for `live_epochs` of `frozen` ones.
    """

    calibration: PtqSettings = Field(default_factory=PtqSettings)
    train: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=3, learning_rate=0.001))
    observe_epochs: TimesOrNone = 2
    batch_norm: Literal["frozen", "alive"] = Field(default="frozen", exclude_if=_is_frozen)
    live_epochs: Times | None = Field(default=None, exclude_if=is_none)
    keep_zeros: bool = Field(default=False, exclude_if=operator.not_)

    @model_validator(mode="after")
    def _lives(self) -> Self:
        if self.live_epochs is not None and self.batch_norm != "alive":
            raise ValueError(f"live_epochs is {self.live_epochs} and batch_norm '{self.batch_norm}'; set it to alive")
        return self
