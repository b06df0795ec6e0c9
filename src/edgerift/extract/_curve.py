"""What an attack learnt while it spent its budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import nn

from edgerift.extract._generator import Generator
from edgerift.extract._masking import Masking
from edgerift.settings import Settings


class Measured(Settings):
    """What somebody who has the victim measures of a clone on the way; the attack never sees it.

    `error` and `disagreement` are shares in [0, 1] of the victim's test images, `divergence` the mean KL(victim ||
    clone) on them in nats. `masking` tells what the attack's differences are worth at that moment.
    """

    error: float
    disagreement: float
    divergence: float
    masking: Masking | None = None


class CurvePoint(Settings):
    """Where an attack stood after so many `queries`.

    `clone_loss` is the mean loss of the clones' steps on new images since the last point, `zero_share` the share of the
    attack's own finite differences in which the victim's answer did not change at all; None without differences.
    """

    queries: int
    clone_loss: float
    zero_share: float | None
    measured: Measured | None = None


Observe: TypeAlias = Callable[[nn.Module, Generator], Measured]
"""Called with the clone, in evaluation mode, and the generator; it must leave both as they are."""
