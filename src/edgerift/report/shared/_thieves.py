"""The attackers of DivQAT at given alphas, besides the main one with soft labels."""

from __future__ import annotations

from typing import NamedTuple

from edgerift.facts import Facts


class Thief(NamedTuple):
    """A clone network trained on probabilities (`soft`) or on labels alone (`hard`)."""

    student: str
    labels: str


def other_thieves(found: Facts) -> list[Thief]:
    """List the attackers in some facts, the one with labels alone first."""
    return sorted((Thief(*fields) for fields in found.by("student", "labels")), key=lambda one: one.labels == "soft")


def thief_title(thief: Thief) -> str:
    """Name an attacker; the one with labels alone has the main attacker's network."""
    return "hard labels" if thief.labels == "hard" else f"{thief.student}, soft labels"
