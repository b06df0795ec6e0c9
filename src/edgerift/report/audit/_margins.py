"""How far the build's wrong answers lie from its right ones, and what that means for a release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from edgerift.audit import FindingPart
from edgerift.measure import Interval, Rate, interval

#: A lead of the wrong class, in the build's probabilities, below which it is undecided, and from which on it is sure.
_UNDECIDED: Final = 0.1
_SURE: Final = 0.5


class Band(NamedTuple):
    """Findings whose wrong answer leads by about as much: their share, and what it means to who decides."""

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
    """Sort findings by how sure the build is of its wrong answer, the surest first.

    None come back without findings, or where an audit was written without the leads.
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
    """Say in a line in how many findings the build is sure; nothing where there is nothing to say."""
    parts = [f"{band.name} in {band.share.successes}" for band in bands(findings)]
    return f"The build is {', '.join(parts)} of the {len(findings)} findings." if parts else ""


_BANDS: Final = (
    (
        "sure of the wrong class",
        "50 points and more",
        "The build is wrong and confident. A threshold on its confidence has to be strict to stop the answer; what "
        "mends it is another build.",
    ),
    (
        "leaning to it",
        "10 to 50 points",
        "The wrong class leads clearly. A threshold on the confidence can stop the answer, together with right answers "
        "that are as unsure.",
    ),
    (
        "undecided",
        "less than 10 points",
        "At about 50/50 the build has no opinion: the rounding of another device, or the next frame, may turn the "
        "answer back. To abstain where the two best scores are close stops it.",
    ),
)
