"""What a paper claims, and what the same experiment found here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from edgerift.facts._claims_datafree import Stolen, data_free_claims
from edgerift.facts._claims_diva import EVASION, NETWORKS, Reports
from edgerift.facts._claims_divqat import THEFT, prices_words, thieves_words
from edgerift.facts._stated import Stated, Unit
from edgerift.measure import Spread, spread
from edgerift.settings import Settings
from edgerift.study import DataFreeCell, PairReport, StudyResult, TheftCell

Verdict: TypeAlias = Literal["held", "did not hold", "no effect", "not resolved", "not measured"]

#: What is too small to matter, by unit.
NEGLIGIBLE: Final[Mapping[Unit, float]] = {"points": 1.0, "percent": 1.0, "nats": 0.01, "l1": 0.01}


class Finding(Settings):
    """One difference over the seeds of one place of the grid, or over the means of all places."""

    where: str
    difference: Spread
    verdict: Verdict


class Claim(Settings):
    """A claim: what the paper says and prints, what the difference measured here means, and what was found.

    `findings` are of each place of the grid over its seeds; a place is a pair of a data set and a network, or a data
    set where a claim compares networks. `together` is over the means of the places, whose seeds are no independent
    values, and with one place alone it is that place over its seeds. It takes the places for independent, which those
    that share a data set are not quite, and says nothing of any one of them: `held_in` does.

    A verdict is `held` when the 95 % interval lies on the claim's side of its bound, `did not hold` when it lies on the
    other, and else `not resolved`, which a single value always is. It is `no effect` when the whole interval lies
    within what is negligible: one percentage point, one percent, 0.01 nats or 0.01 of l1. A `note` says what a
    verdict's worth hangs on; a claim is `blind` whose attack saw nothing of the undefended model either, unless it is
    known to steal as much from it without sight: its verdict tells nothing of the defence.
    """

    name: str
    statement: str
    published: str
    measured: str
    unit: Unit
    bound: float
    together: Finding | None
    findings: tuple[Finding, ...]
    note: str = ""
    blind: bool = False

    @property
    def verdict(self) -> Verdict:
        """The verdict over all places."""
        return "not measured" if self.together is None else self.together.verdict

    @property
    def held_in(self) -> int:
        """In how many places the claim held by itself, over their seeds."""
        return sum(found.verdict == "held" for found in self.findings)


def claims(result: StudyResult) -> tuple[Claim, ...]:
    """Judge the claims of the study's paper; none without a paper.

    Differences are between figures of the same seed, so what a seed does to both cancels out.
    """
    if result.study.paper == "diva":
        return _of_evasions(result)
    if result.study.paper == "divqat":
        return (*_of_thefts(result), *_of_thefts_without_images(result))
    return ()


def _of_evasions(result: StudyResult) -> tuple[Claim, ...]:
    """Judge the first paper's claims, those about one network and those that compare networks."""
    networks: dict[tuple[str, int], dict[str, Reports]] = {}
    originals: list[tuple[str, Reports]] = []
    for (data, original, seed), reports in _by_original(result).items():
        originals.append((f"{data}, {original}", reports))
        networks.setdefault((data, seed), {})[original] = reports
    return (
        *(_claim(one, [(place, one.difference(reports)) for place, reports in originals]) for one in EVASION),
        *(_claim(one, [(data, one.difference(found)) for (data, _), found in networks.items()]) for one in NETWORKS),
    )


def _of_thefts(result: StudyResult) -> Iterator[Claim]:
    """Judge the second paper's claims about thieves with images."""
    for stated in THEFT:
        cells = [(_place(cell, result), cell) for cell in _cells(stated, result)]
        claim = _claim(stated, [(place, stated.difference(cell)) for place, cell in cells])
        compared = [(place, cell) for place, cell in cells if stated.difference(cell) is not None]
        notes = ["" if stated.thief is None else thieves_words(compared, stated.thief)]
        if stated.priced is not None:
            notes.append(prices_words([cell for _, cell in compared], stated.priced))
        yield claim.replace(note=" ".join(filter(None, notes)))


def _of_thefts_without_images(result: StudyResult) -> Iterator[Claim]:
    """Judge the claims about the data-free attacks that were tried."""
    cells = [
        (
            _place(cell, result),
            Stolen(cell.comparison, tuple(one.comparison for one in result.data_free if _alike(one, cell))),
        )
        for cell in result.data_free
    ]
    for theft in data_free_claims([cell.comparison for cell in result.data_free]):
        claim = _claim(theft.stated, [(place, theft.stated.difference(stolen)) for place, stolen in cells])
        worth = theft.worth(cells)
        yield claim.replace(note=worth.note, blind=worth.blind)


def _alike(one: DataFreeCell, other: DataFreeCell) -> bool:
    return (one.data, one.original) == (other.data, other.original)


def _by_original(result: StudyResult) -> Mapping[tuple[str, str, int], Reports]:
    """Put the reports of each original of each seed together, by data set, network and seed."""
    found: dict[tuple[str, str, int], dict[str, PairReport]] = {}
    for cell in result.pairs:
        found.setdefault((cell.data, cell.original, cell.seed), {})[cell.adaptation] = cell.report
    return found


def _cells(stated: Stated[TheftCell], result: StudyResult) -> list[TheftCell]:
    assert result.study.theft is not None
    first = result.study.theft.targets[0]
    return [cell for cell in result.thefts if cell.target == first or stated.every_target]


def _place(cell: TheftCell | DataFreeCell, result: StudyResult) -> str:
    return cell.data if len(result.study.originals) == 1 else f"{cell.data}, {cell.original}"


def _claim(stated: Stated[Any], found: Iterable[tuple[str, float | None]]) -> Claim:
    places: dict[str, list[float]] = {}
    for place, value in found:
        if value is not None:
            places.setdefault(place, []).append(value)
    findings = tuple(_finding(stated, place, values) for place, values in places.items())
    return Claim(
        name=stated.name,
        statement=stated.statement,
        published=stated.published,
        measured=stated.measured,
        unit=stated.unit,
        bound=stated.bound,
        together=_together(stated, findings),
        findings=findings,
    )


def _together(stated: Stated[Any], findings: Sequence[Finding]) -> Finding | None:
    """Judge all places: by their means, however many seeds each has; a place alone by its seeds."""
    if len(findings) == 1:
        return findings[0].replace(where="all")
    return _finding(stated, "all", [found.difference.value for found in findings]) if findings else None


def _finding(stated: Stated[Any], where: str, values: Sequence[float]) -> Finding:
    found = spread(values)
    verdict: Verdict = "not resolved"
    if found.low is not None and found.high is not None:
        small = NEGLIGIBLE[stated.unit]
        if stated.bound == 0 and -small < found.low and found.high < small:
            return Finding(where=where, difference=found, verdict="no effect")
        above, below = found.low > stated.bound, found.high < stated.bound
        if above or below:
            verdict = "held" if above == (stated.side == "above") else "did not hold"
    return Finding(where=where, difference=found, verdict=verdict)
