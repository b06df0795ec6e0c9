"""What of a paper's claims held: a short table, and what its verdicts mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgerift.report._study._table import NOTHING, Number, capitalised, ends_words, value_words
from edgerift.study import Claim, StudyResult, claims

CLAIMS: Final = "The paper's claims"

#: The columns of the table.
HEADINGS: Final = ("Claim", "The paper", "Here", "Verdict")

_DECIMALS: Final[Mapping[str, int]] = {"points": 1, "percent": 1, "nats": 3, "l1": 3}
_UNITS: Final[Mapping[str, str]] = {"points": "points", "percent": "%", "nats": "nats", "l1": "l1"}
_MEANINGS: Final[Mapping[str, str]] = {
    "held": "held: the interval lies on the claim's side of zero, or of the bound that the claim names",
    "did not hold": "did not hold: the interval lies on the side against the claim",
    "no effect": "no effect: the interval lies within 1 percentage point, 1 percent, 0.01 nats or 0.01 of l1 of zero",
    "not resolved": "not resolved: the interval reaches to both sides, or there is none",
    "not measured": "not measured: a figure of it is missing",
    "blind": "blind: the attack saw nothing of the plain model either, and the verdict tells nothing of the defence",
}


@dataclass(frozen=True)
class ClaimRow:
    """A claim as the table shows it: what is said, what the paper prints, what was found here, and the verdict."""

    statement: str
    published: str
    here: Number | None
    unit: str
    verdict: str
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

    def cells(self) -> tuple[str, str, str, str]:
        """Write the row, a text for each of the headings."""
        return self.statement, self.published, " ".join(filter(None, (self.value, self.ends))), self.judged


def claim_rows(result: StudyResult) -> list[ClaimRow]:
    """List the claims of the study's paper; none without a paper, and none where nothing of them was measured."""
    judged = claims(result)
    return [claim_row(claim) for claim in judged] if any(claim.together for claim in judged) else []


def claim_row(claim: Claim) -> ClaimRow:
    """Give what stands in the table of one claim: the difference over all places and seeds."""
    found = None if claim.together is None else claim.together.difference
    here = None if found is None else claim_number(claim.unit, found.value, found.low, found.high)
    return ClaimRow(claim.statement, claim.published, here, _UNITS[claim.unit], claim.verdict, claim.note, claim.blind)


def claim_number(unit: str, value: float, low: float | None = None, high: float | None = None) -> Number:
    """Make the figure of a claim's difference, written with its sign and without its unit."""
    return Number(value, low, high, "points", _DECIMALS[unit])


def claims_words(rows: Sequence[ClaimRow]) -> str:
    """Say what the differences and their brackets are, and what the verdicts mean that the rows have."""
    what = "Differences are between models of the same seed."
    if all(row.here is None or row.here.low is None for row in rows):
        return f"{what} There is one value of each, which has no interval: it resolves no claim."
    found = {row.verdict for row in rows} | {"blind" for row in rows if row.blind}
    meanings = "; ".join(meaning for verdict, meaning in _MEANINGS.items() if verdict in found)
    return (
        f"{what} Brackets: the 95 % interval of their mean (Student's t), where each network of each image set and "
        f"seed counts as one value. {capitalised(meanings)}."
    )


def claim_notes(rows: Sequence[ClaimRow]) -> list[str]:
    """List what else there is to say of verdicts, each once."""
    return list(dict.fromkeys(capitalised(row.note) for row in rows if row.note))
