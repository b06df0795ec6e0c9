"""The audit's result on theft: each extraction attack's clone."""

from __future__ import annotations

from edgerift.audit._document_pair import FlagPart
from edgerift.extract import Theft
from edgerift.settings import Settings


class TheftPart(Settings):
    """The results of extraction attacks that see the build's answers alone.

    `thieves` holds each attack's result by name. `strongest` names the one whose clone agrees most often with the
    build's label on the test images. `chance` is the share of the test images in the most common class, in [0, 1],
    which a constant answer reaches: a clone whose agreement is not above it has learned nothing. `flags` are the checks
    of this part of the evaluation.
    """

    thieves: dict[str, Theft]
    strongest: str
    chance: float
    flags: tuple[FlagPart, ...]

    @property
    def best(self) -> Theft:
        """The attack whose clone agrees most with the build."""
        return self.thieves[self.strongest]
