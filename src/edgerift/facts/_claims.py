"""A paper's claims, and the results of the same experiments here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

from edgerift.facts import readings as of
from edgerift.facts._claims_datafree import data_free_claims
from edgerift.facts._claims_diva import EVASION, NETWORKS, ROBUST, accuracy_words
from edgerift.facts._claims_divqat import THEFT, prices_words, thieves_words
from edgerift.facts._collapsed import Collapse, Model, alive, collapsed, collapsed_words, decisive
from edgerift.facts._facts import Facts, facts
from edgerift.facts._pooled import EQUAL
from edgerift.facts._stated import ClaimUnit, Difference, Stated
from edgerift.harden import paper_name
from edgerift.measure import Spread, spread
from edgerift.settings import Settings
from edgerift.study import StudyResult

Verdict: TypeAlias = Literal[
    "held", "did not hold", "no effect", "not resolved", "not measured", "no verdict: the victim has collapsed"
]

#: Negligible differences, by unit.
NEGLIGIBLE: Final[Mapping[ClaimUnit, float]] = {"points": 1.0, "percent": 1.0, "nats": 0.01, "l1": 0.01}


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
    that share a data set are not quite, and gives no verdict on any one of them: `held_in` does.

    A verdict is `held` when the 95 % interval lies on the claim's side of its bound, `did not hold` when it lies on the
    other, and else `not resolved`, which a single value always is. It is `no effect` when the whole interval lies
    within what is negligible: one percentage point, one percent, 0.01 nats or 0.01 of l1. Models at or under guessing
    are left out; a claim with no other has no verdict, since its victim has `collapsed`, and where a model collapsed or
    diverged for some of the seeds alone nothing is resolved, as those that are left are chosen by the outcome. A `note`
    states the caveats of a verdict; a claim is `blind` if its attack was blind on the undefended model too, unless it
    is known to extract as much from it when blind: its verdict is no evidence about the defence.
    """

    name: str
    statement: str
    published: str
    measured: str
    unit: ClaimUnit
    bound: float
    together: Finding | None
    findings: tuple[Finding, ...]
    note: str = ""
    blind: bool = False
    collapsed: bool = False

    @property
    def verdict(self) -> Verdict:
        """The verdict over all places."""
        if self.together is None:
            return "no verdict: the victim has collapsed" if self.collapsed else "not measured"
        return self.together.verdict

    @property
    def held_in(self) -> int:
        """In how many places the claim held by itself, over their seeds."""
        return sum(found.verdict == "held" for found in self.findings)


def claims(result: StudyResult | Facts) -> tuple[Claim, ...]:
    """Judge the claims of the study's paper, given its result or the facts of it; none without a paper.

    Differences are between figures of the same seed, so effects of a seed on both cancel out.
    """
    found = result if isinstance(result, Facts) else facts(result)
    if found.study.paper == "diva":
        usual = _trained_as_usual(found)
        return (
            *_judged(usual, EVASION, "data", "original"),
            *_judged(usual, NETWORKS, "data"),
            *_judged(found, ROBUST, "data"),
        )
    if found.study.paper == "divqat":
        return (*_of_thefts(found), *_of_thefts_without_images(found))
    return ()


def _trained_as_usual(found: Facts) -> Facts:
    """Leave out what is of originals trained against an adversary: a paper's claims are about others."""
    places = found.where(source="measured").by("data", "original")
    return Facts(
        found.result, [fact for place, own in places.items() if not found.study.is_robust(*place) for fact in own]
    )


def _judged(found: Facts, stated: Sequence[Stated], *place: str) -> Iterator[Claim]:
    """Judge claims whose figures are of places that differ in some fields."""
    cells = [(", ".join(fields[:-1]), own) for fields, own in found.where(source="measured").by(*place, "seed").items()]
    dead = collapsed(found)
    for one in stated:
        claim = _without(dead, one, cells)
        if one.priced is not None:
            living = [alive(cell, dead) for _, cell in cells]
            words = accuracy_words([cell for cell in living if one.difference(cell) is not None], one.priced)
            claim = claim.replace(note=" ".join(filter(None, (claim.note, words))))
        yield claim


def _of_thefts(found: Facts) -> Iterator[Claim]:
    """Judge the second paper's claims about attackers with images."""
    assert found.study.theft is not None
    targets = found.study.theft.targets
    own = found.where(source="measured", attack="").by("data", "original", "target", "seed")
    dead = collapsed(found)
    for stated in THEFT:
        cells = [
            (_place(found, data, original), cell)
            for (data, original, target, _), cell in own.items()
            if target == next((one for one in targets if stated.paper_target in (None, paper_name(one))), None)
        ]
        claim = _without(dead, stated, cells)
        living = [(place, alive(cell, dead)) for place, cell in cells]
        compared = [(place, cell) for place, cell in living if stated.difference(cell) is not None]
        notes = [claim.note, "" if stated.thief is None else thieves_words(compared, stated.thief)]
        if stated.priced is not None:
            notes.append(prices_words([cell for _, cell in compared], stated.priced))
        yield claim.replace(note=" ".join(filter(None, notes)))


def _of_thefts_without_images(found: Facts) -> Iterator[Claim]:
    """Judge the claims about the data-free attacks that were tried."""
    cells = [
        (_place(found, data, original), own)
        for (data, original, _), own in found.of(*of.DATA_FREE.readings).by("data", "original", "seed").items()
    ]
    dead = collapsed(found)
    for theft in data_free_claims(found):
        own = [(place, cell) for place, cell in cells if cell.where(attack=theft.attack)]
        claim = _without(dead, theft.stated, own)
        worth = theft.worth([(place, alive(cell, dead)) for place, cell in own])
        yield claim.replace(note=" ".join(filter(None, (claim.note, worth.note))), blind=worth.blind)


def _place(found: Facts, data: str, original: str) -> str:
    return data if len(found.study.originals) == 1 else f"{data}, {original}"


def _without(dead: Mapping[Model, Collapse], stated: Stated, cells: Sequence[tuple[str, Facts]]) -> Claim:
    """Judge a claim by the models that do better than guessing."""
    missed = [(place, decisive(cell, dead, stated.difference)) for place, cell in cells]
    measured = Counter(place for place, cell in cells if stated.difference(cell) is not None)
    lost = _diverged(cells) if stated.over_alpha else {}
    uneven, ended = _uneven(missed, measured), _ended_early(cells, stated.difference, lost)
    claim = _claim(stated, [(place, stated.difference(alive(cell, dead))) for place, cell in cells], uneven | ended)
    every = {model: one for _, own in missed for model, one in own.items()}
    few = "Where a model collapsed for some of the seeds alone, nothing is resolved." if uneven else ""
    alphas = [(place, alpha) for place, own in lost.items() for alpha in sorted(frozenset().union(*own))]
    told = "; ".join(f"alpha {alpha:g} on {place}" for place, alpha in alphas)
    gone = f"Left out, as training diverged there: {told}." if told else ""
    early = "Where that left some of the seeds other ranges of alpha, or none, nothing is resolved." if ended else ""
    notes = (collapsed_words(every), few, gone, early)
    return claim.replace(note=" ".join(filter(None, notes)), collapsed=bool(every))


def _diverged(cells: Iterable[tuple[str, Facts]]) -> dict[str, list[frozenset[float]]]:
    """Give each seed's alphas at which training diverged, by the places in which it did for any."""
    by_place: dict[str, list[frozenset[float]]] = {}
    for place, cell in cells:
        if cell.of(of.ALPHA_ERROR, of.ALPHA_DIVERGED):
            lost = frozenset(fact.value for fact in cell.of(of.ALPHA_DIVERGED))
            by_place.setdefault(place, []).append(lost)
    return {place: own for place, own in by_place.items() if any(own)}


def _ended_early(
    cells: Iterable[tuple[str, Facts]], difference: Difference, lost: Mapping[str, Sequence[frozenset[float]]]
) -> set[str]:
    """List the places in which divergence left some seeds another range of alpha, or too few to compare."""
    without = {place for place, cell in cells if place in lost and difference(cell) is None}
    return without | {place for place, own in lost.items() if len(set(own)) > 1}


def _uneven(missed: Iterable[tuple[str, Iterable[Model]]], measured: Mapping[str, int]) -> set[str]:
    """List the places where a model was left out for some of the seeds alone."""
    counts = Counter(
        (place, without_seed)
        for place, own in missed
        for without_seed in {(original, target, victim, alpha) for _, original, target, victim, _, alpha in own}
    )
    return {place for (place, _), count in counts.items() if count < measured[place]}


def _claim(stated: Stated, found: Iterable[tuple[str, float | None]], uneven: Collection[str] = ()) -> Claim:
    places: dict[str, list[float]] = {}
    for place, value in found:
        if value is not None:
            places.setdefault(place, []).append(value)
    findings = tuple(_finding(stated, place, values, uneven) for place, values in places.items())
    return Claim(
        name=stated.name,
        statement=stated.statement,
        published=stated.published,
        measured=stated.measured,
        unit=stated.unit,
        bound=stated.bound,
        together=_together(stated, findings, uneven),
        findings=findings,
    )


def _together(stated: Stated, findings: Sequence[Finding], uneven: Collection[str]) -> Finding | None:
    """Judge all places: by their means, however many seeds each has; a place alone by its seeds."""
    if len(findings) == 1:
        verdict = "not resolved" if uneven else findings[0].verdict
        return findings[0].replace(where="all", verdict=verdict)
    whole = {"all"} if uneven else set[str]()
    return _finding(stated, "all", [found.difference.value for found in findings], whole) if findings else None


def _finding(stated: Stated, where: str, values: Sequence[float], uneven: Collection[str]) -> Finding:
    found = spread(values)
    if max(values) - min(values) <= EQUAL:
        # The spread of values that agree exactly is no measure of anything: shares of few images take few values.
        found = found.replace(low=None, high=None)
    verdict: Verdict = "not resolved"
    if found.low is not None and found.high is not None and where not in uneven:
        small = NEGLIGIBLE[stated.unit]
        if stated.bound == 0 and -small < found.low and found.high < small:
            return Finding(where=where, difference=found, verdict="no effect")
        above, below = found.low > stated.bound, found.high < stated.bound
        if above or below:
            verdict = "held" if above == (stated.side == "above") else "did not hold"
    return Finding(where=where, difference=found, verdict=verdict)
