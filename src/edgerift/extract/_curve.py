"""The learning curve of an attack over its budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import nn

from edgerift.extract._generator import Generator
from edgerift.extract._masking import Masking
from edgerift.settings import Settings


class Measured(Settings):
    """What the victim's owner measures of a clone during the attack; the attack never sees it.

    `error` and `disagreement` are shares in [0, 1] of the victim's test images, `divergence` the mean KL(victim ||
    clone) on them in nats. `masking` is the quality of the attack's differences at that point.
    """

    error: float
    disagreement: float
    divergence: float
    masking: Masking | None = None


class CurvePoint(Settings):
    """The state of an attack after `queries` queries.

    `clone_loss` is the mean loss of the clones' steps on new images since the last point, `zero_share` the share of the
    attack's own finite differences for which the victim's answer did not change at all; None without differences.
    """

    queries: int
    clone_loss: float
    zero_share: float | None
    measured: Measured | None = None


Observe: TypeAlias = Callable[[nn.Module, Generator], Measured]
"""Called with the clone, in evaluation mode, and the generator; it must leave both as they are."""
