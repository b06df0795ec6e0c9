"""Every measured figure of a study in one long table: `records.csv`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from edgerift.audit import AttackPart
from edgerift.measure import Rate, interval
from edgerift.report.records._paper import accuracy_table, published_accuracies
from edgerift.report.records._record import COLUMNS, Record
from edgerift.report.records._records_datafree import data_free_records
from edgerift.report.records._records_theft import theft_records
from edgerift.report.tables._csv import csv_text
from edgerift.study import EpochPart, PairCell, StudyResult


def records_csv(result: StudyResult) -> str:
    """Write every figure of every seed, and the published ones, a line each."""
    return csv_text([COLUMNS, *(record.cells() for record in study_records(result))])


def study_records(result: StudyResult) -> Iterator[Record]:
    """List every figure of every seed; where a paper has figures for the same, those too."""
    originals: set[tuple[str, str, int]] = set()
    for cell in result.pairs:
        place = (cell.data, cell.original, cell.seed)
        if place not in originals:
            originals.add(place)
            yield from _original_records(result, cell)
        yield from _pair_records(result, cell)
    yield from _published(result)
    yield from theft_records(result)
    yield from data_free_records(result)


def _start(result: StudyResult, cell: PairCell, victim: str) -> Record:
    assert result.study.evasion is not None
    target = result.study.evasion.target if victim in ("ptq", "qat") else ""
    return Record(data=cell.data, original=cell.original, victim=victim, seed=cell.seed, target=target)


def _paper_table(result: StudyResult, data: str) -> str:
    return accuracy_table(result.study.data[data].source or data) if result.study.paper == "diva" else ""


def _original_records(result: StudyResult, cell: PairCell) -> Iterator[Record]:
    start, table = _start(result, cell, "original"), _paper_table(result, cell.data)
    yield from start.share("accuracy", cell.report.original_accuracy, paper=table)
    yield from _epochs(start, cell.report.original_epochs, "figure 6" if table else "")


def _pair_records(result: StudyResult, cell: PairCell) -> Iterator[Record]:
    report, start, table = cell.report, _start(result, cell, cell.adaptation), _paper_table(result, cell.data)
    qat = cell.adaptation == "qat"
    yield from start.share("accuracy", report.build_accuracy, paper=table if qat else "")
    yield from start.share("instability", report.instability)
    yield from start.plain("images attacked", "count", report.attacked)
    yield from _epochs(start, report.adapted_epochs, "figure 7" if table and qat else "")
    for name, part in report.attacks.items():
        yield from _attack_records(replace(start, attack=name), part)
    for one in report.comparisons:
        both = replace(start, attack=f"{one.first} against {one.second}")
        yield from both.plain("evaded by the first alone", "count", one.only_first)
        yield from both.plain("evaded by the second alone", "count", one.only_second)
        yield from both.plain("McNemar's p", "p", one.p)


def _epochs(start: Record, epochs: Sequence[EpochPart], paper: str) -> Iterator[Record]:
    for number, epoch in enumerate(epochs, 1):
        yield from start.plain("training loss", "nats", epoch.loss, at=number, paper=paper)
        yield from start.plain("training accuracy", "share", epoch.train_accuracy, at=number, paper=paper)
        yield from start.plain("validation accuracy", "share", epoch.validation_accuracy, at=number, paper=paper)


def _attack_records(start: Record, part: AttackPart) -> Iterator[Record]:
    yield from start.share("evasive at any step", part.evasive)
    yield from start.share("evasive at the last step", part.evasive_last)
    yield from start.share("evasive, top five", part.evasive_top5)
    yield from start.share("adapted wrong", part.fooled)
    yield from start.share("original wrong", part.original_fooled)
    yield from start.plains(
        {
            ("confidence difference", "share"): part.confidence_delta,
            ("confidence difference before", "share"): part.clean_confidence_delta,
            ("void", "count"): part.void,
            ("steps to a success", "count"): part.steps,
            ("gradients for a success", "count"): part.gradient_calls,
            ("questions to the adapted model for a success", "count"): part.build_questions,
            ("questions to the original for a success", "count"): part.original_questions,
            ("L-infinity", "grey levels"): part.linf,
            ("L2", "grey levels"): part.l2,
            ("SSIM", ""): part.ssim,
        }
    )
    for one in part.by_class:
        if one.attacked:
            yield from start.share("evasive of a class", interval(Rate(one.evasive, one.attacked)), at=one.name)
    for calls, found in enumerate(part.cumulative):
        share = interval(Rate(found, part.evasive.trials))
        yield from start.share("evasive after so many gradients", share, at=calls)


def _published(result: StudyResult) -> Iterator[Record]:
    if result.study.paper != "diva" or not result.pairs:
        return
    for data, choice in result.study.data.items():
        for network in result.study.originals:
            printed = published_accuracies(choice.source or data, network)
            if printed is not None:
                start = Record(_paper_table(result, data), "published", data, network, metric="accuracy", unit="share")
                yield replace(start, victim="original", value=round(printed.original / 100, 6))
                yield replace(start, victim="qat", value=round(printed.adapted / 100, 6))
