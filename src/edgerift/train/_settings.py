"""The settings of a training run."""

from __future__ import annotations

import operator
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from edgerift.settings import BatchSize, Seed, Settings, Times, TimesOrNone, is_none
from edgerift.train._adversary import Adversary
from edgerift.train._precision import Precision, with_precision


class TrainSettings(Settings):
    """Gradient descent with Nesterov momentum and cosine annealing, as in the papers of the field.

    `learning_rate` is the highest one: it rises linearly over `warmup_steps` batches and then falls to zero along a
    half cosine, or stays with the `constant` schedule. Weight decay applies to every parameter. `label_smoothing`
    belongs to the default loss, which an `adversary` turns into that of adversarial training. `augment` allows the
    image set's own augmentation. `distortion` adds a heavy one, from 0 to 1: images are turned, scaled, sheared,
    changed in tone and covered in part. `mixup` trains on weighted means of two images and of their targets, by weights
    of a Beta(mixup, mixup); 0 does not mix. `device` is not part of the recipe's name: the same recipe trained on
    another device is the same recipe. With `bfloat16` layers compute under autocast, with float32 weights; `auto`
    stands for what this machine trains fastest in, and is replaced by it at once, so that a recipe names what is
    computed.

    Raises `RecipeError` for a value out of range.
    """

    epochs: Times = 20
    batch_size: BatchSize = 128
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_steps: TimesOrNone = 0
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    augment: bool = True
    seed: Seed = 0
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", exclude=True)
    precision: Precision = "float32"
    compile: bool = False
    channels_last: bool = True
    adversary: Adversary | None = Field(default=None, exclude_if=is_none)
    distortion: float = Field(default=0.0, ge=0, le=1, exclude_if=operator.not_)
    mixup: float = Field(default=0.0, ge=0, le=100, exclude_if=operator.not_)

    @model_validator(mode="before")
    @classmethod
    def _choose_precision(cls, fields: Any) -> Any:
        return with_precision(fields)

    @model_validator(mode="after")
    def _mixes_without_adversary(self) -> Self:
        if self.mixup and self.adversary is not None:
            raise ValueError("mixup has no label that an adversary could leave; leave out one of the two")
        return self
