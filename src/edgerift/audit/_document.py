"""The audit's result: what was measured of a pair under attack, and whether the gate holds."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import AwareDatetime, Field

from edgerift.audit._document_evasion import EvasionPart
from edgerift.audit._document_pair import DataPart, FlagPart, PairPart
from edgerift.audit._document_theft import TheftPart
from edgerift.settings import Settings, is_none


class GatePart(Settings):
    """One rule of the policy: what was measured, what is allowed, and whether it holds.

    `unit` says what both figures are: shares in [0, 1], counts, or a p-value that may not fall below its limit.
    """

    rule: str
    unit: Literal["share", "count", "p"]
    text: str
    measured: float | None
    limit: float | None
    holds: bool


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
    times: dict[str, float]

    @property
    def flags(self) -> tuple[FlagPart, ...]:
        """The checks of the evaluation, of every threat that was examined."""
        return _flags(self)


class Audit(Settings):
    """The whole audit of a pair: a part for each threat, None for one that was not examined.

    `times` are the seconds of each stage, and `made` tells of the run that wrote the audit; all else is the same for
    the same command. `made` is None for an audit that no command wrote, and in documents that were written without it.
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
    times: dict[str, float]
    made: Made | None = None

    @property
    def flags(self) -> tuple[FlagPart, ...]:
        """The checks of the evaluation, of every threat that was examined."""
        return _flags(self)

    @property
    def closing(self) -> str | None:
        """The command that would close the gap, where too many images evade and a command is known."""
        opened = any(rule.rule.startswith("evasive") and not rule.holds for rule in self.gate)
        return self.made.closing if opened and self.made is not None else None


def _flags(examined: Measured | Audit) -> tuple[FlagPart, ...]:
    parts = (examined.pair, examined.evasion, examined.theft)
    return tuple(flag for part in parts if part is not None for flag in part.flags)
