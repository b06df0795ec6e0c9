"""What of a paper's claims held: a short table, and what its verdicts mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgerift.facts import Claim, claims
from edgerift.report.tables._table import NOTHING, Number, capitalised, ends_words, value_words
from edgerift.study import StudyResult

CLAIMS: Final = "The paper's claims"

#: The columns of the table.
HEADINGS: Final = ("Claim", "The paper", "Here", "Verdict", "Holds individually in")

#: How the places of a study are put together, and how far that goes.
POOLED: Final = (
    "A pair of a data set and a network has one value, the mean over its seeds (a data set has one where a claim "
    "compares networks). Brackets: the 95 % interval of the mean of these values (Student's t, one degree of freedom "
    "less than there are values); with one value alone, its own interval over its seeds. The interval takes the pairs "
    "for independent, though they share data sets and networks, and speaks of their mean, not of each of them: the "
    "last column says in how many the claim holds individually, over the seeds of that one."
)

_DECIMALS: Final[Mapping[str, int]] = {"points": 1, "percent": 1, "nats": 3, "l1": 3}
_UNITS: Final[Mapping[str, str]] = {"points": "points", "percent": "%", "nats": "nats", "l1": "l1"}
_MEANINGS: Final[Mapping[str, str]] = {
    "held": "held: the interval lies on the claim's side of zero, or of the bound that the claim names",
    "did not hold": "did not hold: the interval lies on the side against the claim",
    "no effect": "no effect: the interval lies within 1 percentage point, 1 percent, 0.01 nats or 0.01 of l1 of zero",
    "not resolved": "not resolved: the interval reaches to both sides, there is none, or a model collapsed or "
    "diverged for some of the seeds alone",
    "not measured": "not measured: a figure of it is missing",
    "no verdict: the victim has collapsed": "the victim has collapsed: its error is not below that of guessing, so "
    "that nothing measured of it is evidence",
    "blind": "blind: the attack saw nothing of the plain model either, and is not known to extract as much when "
    "blind; the verdict is no evidence about the defence",
}


@dataclass(frozen=True)
class ClaimRow:
    """A claim as the table shows it: what is said, what the paper prints, what was found here, and the verdict."""

    statement: str
    published: str
    here: Number | None
    unit: str
    verdict: str
    alone: str
    note: str = ""
    blind: bool = False

    @property
    def judged(self) -> str:
        """The verdict, and whether the attack was blind."""
        return f"{self.verdict} (blind)" if self.blind else self.verdict

    @property
    def value(self) -> str:
        """The difference with its unit."""
        return NOTHING if self.here is None else f"{value_words(self.here)}\N{NO-BREAK SPACE}{self.unit}"

    @property
    def ends(self) -> str:
        """The difference's interval; nothing where it has none."""
        return "" if self.here is None else ends_words(self.here)

    def cells(self) -> tuple[str, str, str, str, str]:
        """Write the row, a text for each of the headings."""
        here = " ".join(filter(None, (self.value, self.ends)))
        return self.statement, self.published, here, self.judged, self.alone


def claim_rows(result: StudyResult) -> list[ClaimRow]:
    """List the claims of the study's paper; none without a paper, and none where nothing of them was measured."""
    judged = claims(result)
    return [claim_row(claim) for claim in judged] if any(claim.together for claim in judged) else []


def claim_row(claim: Claim) -> ClaimRow:
    """Give a claim's row: the difference over all places, and in how many it holds individually."""
    found = None if claim.together is None else claim.together.difference
    here = None if found is None else claim_number(claim.unit, found.value, found.low, found.high)
    unit, alone = _UNITS[claim.unit], alone_words(claim)
    return ClaimRow(claim.statement, claim.published, here, unit, claim.verdict, alone, claim.note, claim.blind)


def alone_words(claim: Claim) -> str:
    """Say in how many places a claim held by itself, and where none of them has the seeds for it."""
    if not claim.findings:
        return NOTHING
    words = f"{claim.held_in} of {len(claim.findings)}"
    return f"{words} (one seed each)" if all(one.difference.count == 1 for one in claim.findings) else words


def claim_number(unit: str, value: float, low: float | None = None, high: float | None = None) -> Number:
    """Make the figure of a claim's difference, written with its sign and without its unit.

    It has a decimal more where an end would read as zero, of which a verdict says that it is on one side.
    """
    decimals = _DECIMALS[unit]
    ends = [abs(end) for end in (low, high) if end is not None]
    if any(0.05 * 10.0**-decimals <= end < 0.5 * 10.0**-decimals for end in ends):
        decimals += 1
    return Number(value, low, high, "points", decimals)


def claims_words(rows: Sequence[ClaimRow]) -> str:
    """Say what the differences and their brackets are, and what the verdicts mean that the rows have."""
    what = "Differences are between models of the same seed."
    if all(row.here is None or row.here.low is None for row in rows):
        return f"{what} There is one value of each, which has no interval: it resolves no claim."
    found = {row.verdict for row in rows} | {"blind" for row in rows if row.blind}
    meanings = "; ".join(meaning for verdict, meaning in _MEANINGS.items() if verdict in found)
    return f"{what} {POOLED} {capitalised(meanings)}."


def claim_notes(rows: Sequence[ClaimRow]) -> list[str]:
    """List what else there is to say of verdicts, each once."""
    return list(dict.fromkeys(capitalised(row.note) for row in rows if row.note))
