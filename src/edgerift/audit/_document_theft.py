"""The audit's result on theft: what each attacker took."""

from __future__ import annotations

from edgerift.audit._document_pair import FlagPart
from edgerift.extract import Theft
from edgerift.settings import Settings


class TheftPart(Settings):
    """What attackers took through the build's answers alone.

    `thieves` holds each theft by name. `strongest` names the one whose clone gives most test images the build's own
    label. `chance` is the share of the test images in the most common class, in [0, 1]: a model that always answers one
    class is right that often, so a clone that hardly agrees more has learned nothing. `flags` are the checks of this
    part of the evaluation.
    """

    thieves: dict[str, Theft]
    strongest: str
    chance: float
    flags: tuple[FlagPart, ...]

    @property
    def has_collapsed(self) -> bool:
        """Whether the build's own accuracy is not clearly above `chance`: then nothing stolen of it is evidence."""
        return 1 - self.best.defender_error.high <= self.chance

    @property
    def best(self) -> Theft:
        """The theft whose clone agrees most with the build."""
        return self.thieves[self.strongest]
