"""Text alternatives of the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgerift.defend import SweepPoint
from edgerift.harden import DefendPoint, Hardening
from edgerift.report.shared._words import figure, percent


def reliability_words(hardening: Hardening) -> str:
    """Give each victim's calibration error."""
    rows = (f"{part.title} {percent(part.calibration_error)}" for part in hardening.victim.values())
    return f"Expected calibration errors: {'; '.join(rows)}."


def sweep_words(sweeps: Mapping[str, Sequence[SweepPoint | DefendPoint]]) -> str:
    """Give each defence's range."""
    rows = (
        f"{name}: from l1 {points[0].l1:.3f} and error {percent(points[0].error)} at strength "
        f"{figure(float(points[0].strength))} to l1 {points[-1].l1:.3f} and error {percent(points[-1].error)} at "
        f"{figure(float(points[-1].strength))}"
        for name, points in sweeps.items()
        if points
    )
    return "; ".join(rows) + "."
