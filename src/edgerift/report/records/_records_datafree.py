"""The figures of a study's thefts without images, for its long table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from edgerift.harden import DataFreeEntry, paper_clone_error, published_epsilon
from edgerift.report.records._datafree import PAPER_ATTACKS, Theft
from edgerift.report.records._record import Record
from edgerift.study import DataFreeCell, StudyResult

_TABLE: Final = "table III"


def data_free_records(result: StudyResult) -> Iterator[Record]:
    """List every figure of every theft without images, and the curves over the questions, then the published ones."""
    paper = result.study.paper == "divqat"
    for cell in result.data_free:
        for entry in cell.comparison.entries:
            yield from _theft_records(
                _start(result, cell, entry), entry, _TABLE if paper and _is_printed(entry) else ""
            )
    if paper:
        yield from _published(result)


def _start(result: StudyResult, cell: DataFreeCell, entry: DataFreeEntry) -> Record:
    theft = Theft(entry.attack, entry.victim, entry.epsilon, entry.control)
    return Record(
        data=cell.data,
        original=cell.original,
        victim=entry.victim,
        seed=cell.seed,
        target="" if result.study.theft is None else result.study.theft.targets[0],
        attack=theft.name,
        labels="hard" if entry.theft.attack.loss == "cross-entropy" else "soft",
        student=entry.theft.attack.student,
    )


def _is_printed(entry: DataFreeEntry) -> bool:
    """Whether the paper has a column for such a theft."""
    known = entry.attack in PAPER_ATTACKS.values() and entry.control is None
    return known and entry.epsilon == published_epsilon(entry.attack)


def _theft_records(start: Record, entry: DataFreeEntry, paper: str) -> Iterator[Record]:
    theft, masking = entry.theft, entry.masking
    yield from start.share("defender's error", theft.defender_error)
    yield from start.share("adversary's error", theft.adversary_error, paper=paper)
    if theft.validation_error is not None:
        yield from start.share("adversary's error, validation images", theft.validation_error)
    yield from start.share("disagreement", theft.disagreement)
    yield from start.mean("KL of clone and victim", "nats", theft.divergence)
    yield from start.mean("l1 of the defence", "l1", theft.l1)
    yield from start.plain("questions", "count", theft.spent)
    yield from start.plain("differences that are zero", "share", entry.zero_share)
    if masking is not None:
        yield from start.plain("correlation of differences and slopes", "", masking.correlation)
        yield from start.plain("size of differences over slopes", "", masking.ratio)
    for point in theft.curve:
        at, found = point.queries, point.measured
        yield from start.plain("curve: clone's loss", "", point.clone_loss, at=at)
        yield from start.plain("curve: differences that are zero", "share", point.zero_share, at=at)
        if found is not None:
            yield from start.plain("curve: adversary's error", "share", found.error, at=at)
            yield from start.plain("curve: disagreement", "share", found.disagreement, at=at)
            slopes = None if found.masking is None else found.masking.correlation
            yield from start.plain("curve: correlation of differences and slopes", "", slopes, at=at)


def _published(result: StudyResult) -> Iterator[Record]:
    """List what the paper prints for the thefts that were tried as published, each once; it is of target server."""
    seen: set[tuple[str, str, str]] = set()
    for cell in result.data_free:
        source = result.study.data[cell.data].source or cell.data
        for entry in cell.comparison.entries:
            key = (cell.data, entry.victim, entry.attack)
            printed = paper_clone_error(source, entry.victim, entry.attack)
            if printed is None or not _is_printed(entry) or key in seen:
                continue
            seen.add(key)
            start = Record(_TABLE, "published", cell.data, victim=entry.victim, target="server", unit="share")
            yield replace(start, attack=entry.attack, metric="adversary's error", labels="soft", value=printed)
