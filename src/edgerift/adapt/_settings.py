"""The settings of the adaptations."""

from __future__ import annotations

import operator

from pydantic import Field

from edgerift.settings import Count, Seed, Settings, TimesOrNone
from edgerift.train import TrainSettings


class PtqSettings(Settings):
    """Post-training quantization: how many training images the observers see, drawn with `seed`."""

    calibration_images: Count = 1024
    seed: Seed = 0


class QatSettings(Settings):
    """Quantization-aware training: a calibration, then `train` epochs of the trainable twin.

    The activations' ranges follow the batches for `observe_epochs` epochs and are frozen for the rest. With
    `keep_zeros` weights of the original that are 0, as those that were pruned, stay 0.
    """

    calibration: PtqSettings = Field(default_factory=PtqSettings)
    train: TrainSettings = Field(default_factory=lambda: TrainSettings(epochs=3, learning_rate=0.001))
    observe_epochs: TimesOrNone = 2
    keep_zeros: bool = Field(default=False, exclude_if=operator.not_)
