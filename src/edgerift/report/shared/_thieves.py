"""Who stole DivQAT at given alphas, besides the main thief with soft labels."""

from __future__ import annotations

from typing import NamedTuple

from edgerift.facts import Facts


class Thief(NamedTuple):
    """A network that learnt from answers (`soft`) or from labels alone (`hard`)."""

    student: str
    labels: str


def other_thieves(found: Facts) -> list[Thief]:
    """List the thieves of some facts, the one of labels alone first."""
    return sorted((Thief(*fields) for fields in found.by("student", "labels")), key=lambda one: one.labels == "soft")


def thief_title(thief: Thief) -> str:
    """Name a thief; the one of labels alone has the main thief's network."""
    return "hard labels" if thief.labels == "hard" else f"{thief.student}, soft labels"
