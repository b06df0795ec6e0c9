"""What means against evasion cost and buy: the documents of a hardening against evasion."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgerift.deploy import Target
from edgerift.harden._defending import Defending
from edgerift.harden._document import DataPart
from edgerift.measure import Interval
from edgerift.settings import Settings, is_none
from edgerift.specification import Guard


class ReachPart(Settings):
    """What an attacker reaches within `epsilon` grey levels, among the images that both models get right.

    `evasive` is the share of evasive images, `abstained` the share that an attacker makes the build abstain from, and
    `certified` the share for which it is proved that no image of the box evades; None if it was not measured.
    """

    epsilon: int
    evasive: Interval
    abstained: Interval | None = None
    certified: Interval | None = None


class TrialPart(Settings):
    """One build behind one guard, attacked by an attacker who knows both.

    `wanted` is the share of validation images that the guard was calibrated to answer; None without a guard.
    `coverage` is the share of the measured images that is answered and `accuracy` the accuracy on these.
    """

    wanted: float | None
    guard: Guard | None
    coverage: Interval
    accuracy: Interval
    reach: tuple[ReachPart, ...]

    @property
    def furthest(self) -> ReachPart:
        """What is reached at the largest epsilon."""
        return max(self.reach, key=lambda one: one.epsilon)

    def at(self, epsilon: int) -> Interval:
        """The evasive rate at an epsilon that was measured."""
        return next(one.evasive for one in self.reach if one.epsilon == epsilon)


class MeansPart(Settings):
    """One of the means, without a guard and behind several, on the validation images."""

    name: str
    title: str
    trials: tuple[TrialPart, ...]

    def trial(self, wanted: float | None) -> TrialPart:
        """What was measured behind the guard of a coverage, or without one."""
        return next(one for one in self.trials if one.wanted == wanted)


class ChoicePart(Settings):
    """A build and the coverage of its guard; None without a guard."""

    means: str
    wanted: float | None


class EvasionHardening(Settings):
    """The search for a build that is hard to evade, and what the one chosen is worth on the test images.

    `epsilon`, `evasive`, `coverage` and `accuracy_drop` are the policy: the upper bound of the evasive rate at that
    epsilon, the least coverage, and the largest loss of accuracy against the build of the means `undefended` without a
    guard. All that is chosen is chosen on validation images, with the attack `selecting`; `test` has the undefended
    build under that attack too and the chosen one under the attack `judging`, both on the test images. `chosen` is None
    where nothing passed; `nearest` came nearest then, and is what is written. `audit` is the command that audits what a
    command wrote. `theft` has the defences of its answers, if they were asked for, and `stealing` the command that
    steals it behind them.
    """

    type: Literal["evasion-hardening"] = "evasion-hardening"
    version: Literal[1] = 1
    edgerift: str
    model: str
    target: Target
    runtime: str
    data: DataPart
    epsilon: int
    evasive: float
    coverage: float
    accuracy_drop: float
    selecting: str
    judging: str
    undefended: str
    tried: tuple[MeansPart, ...]
    chosen: ChoicePart | None
    nearest: ChoicePart
    test: dict[Literal["undefended", "hardened"], TrialPart]
    verdict: str
    audit: str | None = None
    theft: Defending | None = Field(default=None, exclude_if=is_none)
    stealing: str | None = Field(default=None, exclude_if=is_none)

    @property
    def shipped(self) -> ChoicePart:
        """The build that is written: the chosen one, or the one that came nearest."""
        return self.chosen or self.nearest

    def means(self, name: str) -> MeansPart:
        """What was measured of one of the means."""
        return next(one for one in self.tried if one.name == name)
