"""Who stole DivQAT at given alphas, besides the main thief with soft labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from edgerift.harden import AlphaPoint
from edgerift.measure import Interval


class Thief(NamedTuple):
    """A network that learnt from answers (`soft`) or from labels alone (`hard`)."""

    student: str
    labels: Literal["soft", "hard"]


def other_thieves(points: Iterable[AlphaPoint]) -> list[Thief]:
    """List the other thieves of some points, the one of labels alone first."""
    found = dict.fromkeys(Thief(theft.student, theft.labels) for point in points for theft in point.thefts)
    return sorted(found, key=lambda thief: thief.labels == "soft")


def thief_words(thief: Thief) -> str:
    """Name a thief; the one of labels alone has the main thief's network."""
    return "hard labels" if thief.labels == "hard" else f"{thief.student}, soft labels"


def taken(
    points: Iterable[AlphaPoint], thief: Thief, field: Literal["adversary_error", "disagreement"]
) -> list[Interval]:
    """Give what a thief took at each of the points where it stole."""
    return [
        getattr(theft, field) for point in points for theft in point.thefts if (theft.student, theft.labels) == thief
    ]
