"""The cost of output defences at each strength, and the strongest setting within a budget."""

from __future__ import annotations

from typing import Literal

from edgerift.defend import Defence
from edgerift.harden._document import DataPart
from edgerift.measure import Interval, ReliabilityBin
from edgerift.settings import Settings


class DefendPoint(Settings):
    """The effect of a defence at one strength, for its users and for an attacker.

    The first six figures are those of :class:`~edgerift.defend.SweepPoint`. `adversary_error` and `disagreement` are
    those of a clone trained on these answers; None without an attack.
    """

    strength: float
    l1: float
    error: float
    changed: float
    ece: float
    nll: float
    adversary_error: Interval | None = None
    disagreement: Interval | None = None


class Defending(Settings):
    """Defences of a build's answers, each over its strengths; the weakest strength comes first.

    `chosen` has the strongest of each name whose mean l1 distance to the clean answers is at most `budget_l1`, None
    if there is none. `reliability` has the bins of the clean answers under "clean", and those of each chosen defence
    under its name. `milliseconds` is what a defence adds per image (median; it varies between runs).
    """

    type: Literal["defending"] = "defending"
    version: Literal[1] = 1
    edgerift: str
    data: DataPart
    runtime: str
    budget_l1: float
    sweeps: dict[str, tuple[DefendPoint, ...]]
    chosen: dict[str, Defence | None]
    reliability: dict[str, tuple[ReliabilityBin, ...]]
    milliseconds: dict[str, float]
