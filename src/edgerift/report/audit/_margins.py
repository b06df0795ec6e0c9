"""By what margin the build's wrong predictions lead, and what that means for a release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from edgerift.audit import FindingPart
from edgerift.measure import Interval, Rate, interval

#: Lead of the wrong class in the build's probabilities: undecided below the first, confident from the second on.
_UNDECIDED: Final = 0.1
_SURE: Final = 0.5


class Band(NamedTuple):
    """Findings with a similar lead of the wrong class: their share, and what it means for a release."""

    name: str
    lead: str
    share: Interval
    meaning: str


def lead(finding: FindingPart) -> float | None:
    """Compute by how much the build prefers its wrong answer to the right class, in [0, 1]; None where it is unknown.

    Near 0 the two are at 50/50.
    """
    right = finding.build_right_probability
    return None if right is None else finding.build_probability - right


def bands(findings: Sequence[FindingPart]) -> tuple[Band, ...]:
    """Sort findings by the confidence of the build in its wrong prediction, the highest first.

    Empty without findings, or where an audit was written without the leads.
    """
    leads = [gap for gap in map(lead, findings) if gap is not None]
    if not leads or len(leads) < len(findings):
        return ()
    sure = sum(gap >= _SURE for gap in leads)
    undecided = sum(gap < _UNDECIDED for gap in leads)
    counts = (sure, len(leads) - sure - undecided, undecided)
    return tuple(
        Band(name, span, interval(Rate(count, len(leads))), meaning)
        for (name, span, meaning), count in zip(_BANDS, counts, strict=True)
    )


def bands_words(findings: Sequence[FindingPart]) -> str:
    """Say in one line in how many findings the build is confident; empty without bands."""
    parts = [f"{band.name} in {band.share.successes}" for band in bands(findings)]
    return f"The build is {', '.join(parts)} of the {len(findings)} findings." if parts else ""


_BANDS: Final = (
    (
        "confident in the wrong class",
        "50 points and more",
        "The build is wrong and confident. Only a strict confidence threshold rejects the prediction; fixing it takes "
        "another build.",
    ),
    (
        "leaning towards it",
        "10 to 50 points",
        "The wrong class leads clearly. A confidence threshold can reject the prediction, along with correct ones of "
        "similarly low confidence.",
    ),
    (
        "undecided",
        "less than 10 points",
        "At about 50/50 the build is undecided: the rounding of another device, or the next frame, may flip the "
        "prediction back. Abstaining where the top-2 scores are close rejects it.",
    ),
)
