"""The learning rate at each step."""

from __future__ import annotations

import math

from edgerift.train._settings import TrainSettings


def learning_rate(settings: TrainSettings, step: int, total: int) -> float:
    """Give the learning rate of batch `step` out of `total`, counted from 0 over all epochs.

    With warm-up of `w` batches it is `r (step + 1) / w` below `w`, then `r (1 + cos(pi (step - w) / (total
    - w))) / 2` (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts), or `r` for the constant
    schedule.

    >>> settings = TrainSettings(learning_rate=1.0)
    >>> [round(learning_rate(settings, step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    warmup = settings.warmup_steps
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - warmup) / (total - warmup)
    return settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
