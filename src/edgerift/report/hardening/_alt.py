"""What the pictures show, in words, for those who do not see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgerift.defend import SweepPoint
from edgerift.harden import DefendPoint, Hardening
from edgerift.report.hardening._words import distance
from edgerift.report.shared._words import figure, percent


def tradeoff_words(hardening: Hardening) -> str:
    """Give each victim's places."""
    rows = []
    for part in hardening.victim.values():
        soft, hard = percent(part.adversary_error.soft.value), percent(part.adversary_error.hard.value)
        rows.append(
            f"{part.title}: l1 {distance(part.l1)}, defender's error {percent(part.defender_error.value)}, "
            f"adversary's error {soft} with soft and {hard} with hard labels"
        )
    return "; ".join(rows) + "."


def alpha_words(hardening: Hardening) -> str:
    """Give what each alpha did."""
    search = hardening.searches.get("divqat")
    rows = [
        f"alpha {figure(trial.strength)}: l1 {trial.l1:.3f}, divergence {trial.divergence:.4f}, accuracy "
        f"{percent(trial.accuracy)}, changed labels {percent(trial.changed)}"
        for trial in (search.trials if search is not None else ())
    ]
    rows += [
        f"stolen at alpha {figure(point.alpha)}: defender's error {percent(point.defender_error.value)}, adversary's "
        f"error {percent(point.adversary_error.value)}, disagreement {percent(point.disagreement.value)}"
        for point in hardening.alphas
    ]
    return "; ".join(rows) + "."


def reliability_words(hardening: Hardening) -> str:
    """Give each victim's calibration error."""
    rows = (f"{part.title} {percent(part.calibration_error)}" for part in hardening.victim.values())
    return f"Expected calibration errors: {'; '.join(rows)}."


def sweep_words(sweeps: Mapping[str, Sequence[SweepPoint | DefendPoint]]) -> str:
    """Give each defence's reach."""
    rows = (
        f"{name}: from l1 {points[0].l1:.3f} and error {percent(points[0].error)} at strength "
        f"{figure(float(points[0].strength))} to l1 {points[-1].l1:.3f} and error {percent(points[-1].error)} at "
        f"{figure(float(points[-1].strength))}"
        for name, points in sweeps.items()
        if points
    )
    return "; ".join(rows) + "."
