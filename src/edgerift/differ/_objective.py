"""What differential testing raises, for one original and one build."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from edgerift.differ._settings import DifferSettings
from edgerift.measure import margin

#: DLFuzz raises the probabilities from the second to the fifth, at half the weight of the first.
_NEXT: Final = 4
_SHARE: Final = 0.5


def values_of(settings: DifferSettings, original: Tensor, build: Tensor, answers: Tensor) -> Tensor:
    """Compute the objective `[N]` from both models' logits `[N,K]` and the answer int64 `[N]` that they shared."""
    other, deviant = (original, build) if settings.deviant == "build" else (build, original)
    if settings.objective == "margin":
        return torch.minimum(margin(other, answers), -margin(deviant, answers))
    rows = answers[:, None]
    if settings.objective == "deepxplore":
        return other.gather(1, rows)[:, 0] - settings.weight * deviant.gather(1, rows)[:, 0]
    probabilities = deviant.softmax(1)
    best = probabilities.sort(dim=1, descending=True, stable=True).values
    return _SHARE * best[:, 1 : 1 + _NEXT].sum(1) - best[:, 0]
