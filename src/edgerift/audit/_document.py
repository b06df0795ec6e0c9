"""The audit's result: what was measured of a pair under attack, and whether the gate holds."""

from __future__ import annotations

import operator
from typing import Literal, Protocol

from pydantic import AwareDatetime, Field

from edgerift.audit._document_evasion import EvasionPart
from edgerift.audit._document_pair import DataPart, FlagPart, PairPart
from edgerift.audit._document_theft import TheftPart
from edgerift.measure import Interval
from edgerift.settings import Settings, is_none
from edgerift.specification import Guard
from edgerift.verify import Verification


class GatePart(Settings):
    """One rule of the policy: what was measured, what is allowed, and whether it holds.

    `unit` says what both figures are: shares in [0, 1], counts, or a p-value that may not fall below its limit.
    `maps_to` names the entries of catalogues of threats that the rule is about.
    """

    rule: str
    unit: Literal["share", "count", "p"]
    text: str
    measured: float | None
    limit: float | None
    holds: bool
    maps_to: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)


class Made(Settings):
    """The run that wrote an audit: when, by which command, as a shell takes it, and into which folder.

    `folder` is the path from the root of the repository that the folder lies in, or from the working directory.
    `closing` is the command that makes a build of the same original which is harder to evade; None in documents that
    were written without it.
    """

    at: AwareDatetime
    command: str
    folder: str
    closing: str | None = Field(default=None, exclude_if=is_none)


class SuggestionPart(Settings):
    """What a guard alone would do to the build that was audited, measured on a sample of the test images.

    The guard is calibrated to answer the share `wanted` of the validation images. `coverage` and `accuracy` are those
    of all test images: the share answered, and the accuracy on these. `evasive` is the rate under the default attack
    within `epsilon` grey levels, whose attacker knows the guard, and `abstained` the share that an attacker can make
    the build abstain from; None where the guard answers everything.
    """

    wanted: float
    guard: Guard
    epsilon: int
    coverage: Interval
    accuracy: Interval
    evasive: Interval
    abstained: Interval | None


class Examined(Protocol):
    """What a gate judges: the result of an examination, whether it was judged before or not."""

    @property
    def data(self) -> DataPart:
        """The test images."""

    @property
    def pair(self) -> PairPart:
        """The pair."""

    @property
    def evasion(self) -> EvasionPart | None:
        """What the attacks on single images reached."""

    @property
    def theft(self) -> TheftPart | None:
        """What attackers took."""

    @property
    def tampering(self) -> Verification | None:
        """Whether the build is what it claims to be."""

    @property
    def flags(self) -> tuple[FlagPart, ...]:
        """The checks of the evaluation."""


class Measured(Settings):
    """What was measured of a pair, which no rule has judged: it has no verdict."""

    type: Literal["measured"] = "measured"
    version: Literal[1] = 1
    edgerift: str
    data: DataPart
    pair: PairPart
    evasion: EvasionPart | None
    theft: TheftPart | None
    tampering: Verification | None = Field(default=None, exclude_if=is_none)
    times: dict[str, float]

    @property
    def flags(self) -> tuple[FlagPart, ...]:
        """The checks of the evaluation, of every threat that was examined."""
        return _flags(self)


class Audit(Settings):
    """The whole audit of a pair: a part for each threat, None for one that was not examined.

    `times` are the seconds of each stage, and `made` tells of the run that wrote the audit; all else is the same for
    the same command. `made` is None for an audit that no command wrote, and in documents that were written without it.
    `suggestion` is None unless it was asked for and too many images evade.
    """

    type: Literal["audit"] = "audit"
    version: Literal[2] = 2
    edgerift: str
    verdict: Literal["pass", "fail"]
    gate: tuple[GatePart, ...]
    data: DataPart
    pair: PairPart
    evasion: EvasionPart | None
    theft: TheftPart | None
    tampering: Verification | None = Field(default=None, exclude_if=is_none)
    times: dict[str, float]
    made: Made | None = None
    suggestion: SuggestionPart | None = Field(default=None, exclude_if=is_none)

    @property
    def flags(self) -> tuple[FlagPart, ...]:
        """The checks of the evaluation, of every threat that was examined."""
        return _flags(self)

    @property
    def closing(self) -> str | None:
        """The command that would close the gap, where too many images evade and a command is known."""
        return self.made.closing if self.is_open and self.made is not None else None

    @property
    def is_open(self) -> bool:
        """Whether the gate fails because too many images evade."""
        return any(rule.rule.startswith("evasive") and not rule.holds for rule in self.gate)


def _flags(examined: Measured | Audit) -> tuple[FlagPart, ...]:
    parts = (examined.pair, examined.evasion, examined.theft)
    return tuple(flag for part in parts if part is not None for flag in part.flags)
