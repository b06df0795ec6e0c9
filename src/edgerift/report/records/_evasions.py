"""A study's reports of attacked pairs, as its tables and records look for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from edgerift.audit import AttackPart
from edgerift.report.figures._panels import ADAPTATIONS
from edgerift.study import PairReport, Study, StudyResult


@dataclass(frozen=True)
class Spot:
    """One adapted network over its seeds."""

    data: str
    original: str
    adaptation: str
    reports: dict[int, PairReport]

    @property
    def names(self) -> tuple[str, str, str]:
        """What the first columns of its rows say."""
        return self.data, self.original, ADAPTATIONS[self.adaptation]


@final
class Evasions:
    """A study's reports of attacked pairs, as its tables look for them."""

    def __init__(self, result: StudyResult) -> None:
        self.study: Study = result.study
        self._found = {(cell.data, cell.original, cell.adaptation, cell.seed): cell.report for cell in result.pairs}

    @property
    def seeds(self) -> int:
        """How many seeds the study has."""
        return len(self.study.seeds)

    @property
    def adaptations(self) -> tuple[str, ...]:
        """The adaptations that any report is about, in the study's order."""
        assert self.study.evasion is not None
        found = {key[2] for key in self._found}
        return tuple(name for name in self.study.evasion.adaptations if name in found)

    def spot(self, data: str, original: str, adaptation: str) -> Spot:
        """Gather the seeds of one adapted network."""
        keys = ((data, original, adaptation, seed) for seed in self.study.seeds)
        return Spot(data, original, adaptation, {key[-1]: self._found[key] for key in keys if key in self._found})

    def networks(self) -> Iterator[tuple[str, str]]:
        """List the data sets and networks that any report is about."""
        for data in self.study.data:
            for original in self.study.originals:
                if any(self.spot(data, original, adaptation).reports for adaptation in self.adaptations):
                    yield data, original

    def spots(self) -> Iterator[Spot]:
        """List the adapted networks that have a report."""
        for data, original in self.networks():
            for adaptation in self.adaptations:
                found = self.spot(data, original, adaptation)
                if found.reports:
                    yield found

    def original_reports(self, data: str, original: str) -> list[PairReport]:
        """Give one report for each seed: what it says of the original, all of the seed's reports say."""
        by_seed: dict[int, PairReport] = {}
        for adaptation in self.adaptations:
            by_seed = self.spot(data, original, adaptation).reports | by_seed
        return list(by_seed.values())

    def title(self, attack: str) -> str:
        """Name an attack as tables do."""
        assert self.study.evasion is not None
        return self.study.evasion.attacks[attack].title or attack

    def attacks(self) -> Iterator[tuple[Spot, str, list[AttackPart]]]:
        """List every attack on every adapted network, with what it reached for each seed."""
        assert self.study.evasion is not None
        for spot in self.spots():
            for attack in self.study.evasion.attacks:
                parts = [report.attacks[attack] for report in spot.reports.values() if attack in report.attacks]
                if parts:
                    yield spot, attack, parts

    def attacked_words(self) -> str:
        """Say how many images were attacked, of those that can be."""
        counts = sorted({report.attacked for spot in self.spots() for report in spot.reports.values()})
        words = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
        return f"Attacked: {words} test images for each seed, of those that original and adapted model both get right"

    def tested_words(self) -> str:
        """Say how many test images there are."""
        reports = {data: self.original_reports(data, original)[0] for data, original in self.networks()}
        counts = (f"{data} {report.original_accuracy.trials:,}" for data, report in reports.items())
        return f"Test images: {', '.join(counts)}"
