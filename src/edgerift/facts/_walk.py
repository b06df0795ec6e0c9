"""The walk over a study's documents: all their figures, as facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from edgerift.audit import AttackPart
from edgerift.deploy import Target
from edgerift.facts import readings as of
from edgerift.facts._metric import Fact
from edgerift.facts._names import FLOATS, ORIGINAL_VICTIM, PAPER_ATTACKS, PLAIN, joint
from edgerift.facts._printed import accuracy_table
from edgerift.harden import DataFreeEntry, Hardening, TimesPart, VariantPart, paper_name, published_epsilon
from edgerift.study import EpochPart, PairCell, StudyResult, TheftCell

#: The victims of the DivQAT paper's table V.
TARGET_ROWS: Final = ("qat", "divqat")
TABLE_III, TABLE_IV, TABLE_V = "table III", "table IV", "table V"


def pair_facts(result: StudyResult) -> Iterator[Fact]:
    """List the figures of attacked pairs: those of an original once for each seed, before those of its pairs."""
    assert result.study.evasion is not None
    target, originals = result.study.evasion.target, set()
    for cell in result.pairs:
        place: dict[str, Any] = {"data": cell.data, "original": cell.original, "seed": cell.seed}
        table = evasion_table(result, cell.data)
        if (cell.data, cell.original, cell.seed) not in originals:
            originals.add((cell.data, cell.original, cell.seed))
            own = {**place, "victim": ORIGINAL_VICTIM}
            yield from of.ORIGINAL.facts(cell.report, own, table)
            yield from _epochs(cell.report.original_epochs, own, table and "figure 6")
        build = {**place, "victim": cell.adaptation, "target": "" if cell.adaptation in FLOATS else target}
        yield from _pair(cell, build, table if cell.adaptation == "qat" else "")


def evasion_table(result: StudyResult, data: str) -> str:
    """Name the DIVA paper's table of an image set; nothing where it has none, or the study is not of that paper."""
    return accuracy_table(result.study.data[data].source or data) if result.study.paper == "diva" else ""


def _pair(cell: PairCell, place: dict[str, Any], table: str) -> Iterator[Fact]:
    report = cell.report
    yield from of.ADAPTED.facts(report, place, table)
    yield from _epochs(report.adapted_epochs, place, table and "figure 7")
    for name, part in report.attacks.items():
        yield from _attack(part, {**place, "attack": name})
    for one in report.comparisons:
        yield from of.COMPARED.facts(one, {**place, "attack": one.first, "against": one.second})
    for name, surrogates in report.surrogates.items():
        yield from of.SURROGATE.facts(surrogates, {**place, "attack": name})
    if report.flips is not None:
        yield from of.BIT_FLIPS.facts(report.flips, place)
    if report.differ is not None:
        yield from of.DIFFER.facts(report.differ, place)
    for embedding in report.embeddings:
        yield from of.EMBEDDING.facts(embedding, place)


def _epochs(epochs: Sequence[EpochPart], place: dict[str, Any], tables: str) -> Iterator[Fact]:
    for number, epoch in enumerate(epochs, 1):
        yield from of.EPOCH.facts(epoch, {**place, "at": number}, tables)


def _attack(part: AttackPart, place: dict[str, Any]) -> Iterator[Fact]:
    yield from of.ATTACK.facts(part, place)
    for one in part.by_class:
        if one.attacked:
            yield from of.CLASS.facts(of.Evaded(one.evasive, one.attacked), {**place, "at": one.name})
    for calls, found in enumerate(part.cumulative):
        yield from of.CALLS.facts(of.Evaded(found, part.evasive.trials), {**place, "at": calls})


def theft_facts(result: StudyResult) -> Iterator[Fact]:
    """List the figures of the comparisons of hardened victims."""
    for cell in result.thefts:
        hardening = cell.hardening
        place = {"data": cell.data, "original": cell.original, "seed": cell.seed, "target": cell.target}
        for name, part in hardening.victim.items():
            times = hardening.times.get(name, TimesPart())
            yield from _victim(part, times, hardening, {**place, "victim": name}, theft_tables(result, cell, name))
        paper = "" if result.study.paper == "divqat" else None
        yield from of.COMPARISON.facts(hardening, {**place, "victim": PLAIN}, paper)
        yield from _searches(hardening, place)
        yield from _alphas(hardening, {**place, "victim": "divqat"}, paper)
        for point in hardening.students:
            clone = {"victim": point.victim, "student": point.student, "labels": point.labels}
            yield from of.STUDENT.facts(point, {**place, **clone}, paper)
        for defence, points in hardening.sweeps.items():
            for swept in points:
                about = {"victim": PLAIN, "about": defence, "at": float(swept.strength)}
                yield from of.SWEEP.facts(swept, {**place, **about})


def theft_tables(result: StudyResult, cell: TheftCell, victim: str) -> str | None:
    """Name the DivQAT paper's tables that a victim belongs to; None where the study is not of that paper."""
    if result.study.paper != "divqat":
        return None
    targets = () if result.study.theft is None else result.study.theft.targets
    main = (TABLE_IV if joint(victim) else TABLE_III) if is_main(cell.target, targets) else ""
    return "; ".join(filter(None, (main, TABLE_V if victim in TARGET_ROWS and len(targets) > 1 else "")))


def _victim(
    part: VariantPart, times: TimesPart, hardening: Hardening, place: dict[str, Any], tables: str | None
) -> Iterator[Fact]:
    yield from of.VICTIM.facts(part, place, tables)
    for defence in part.defences:
        yield from of.DEFENCE.facts(defence, {**place, "about": defence.type})
    for number, one in enumerate(part.reliability, 1):
        if one.images:
            yield from of.BIN.facts(one, {**place, "at": number, "count": one.images})
    yield from of.TIMES.facts(times, place, tables)
    yield from of.SHIPPING.facts(part, place, tables)
    for labels in of.LABELS:
        clone = {"student": hardening.thief.attack.student, "labels": labels}
        yield from of.CLONE.facts(of.Clone(part, labels), {**place, **clone}, tables)


def _searches(hardening: Hardening, place: dict[str, Any]) -> Iterator[Fact]:
    for name, search in hardening.searches.items():
        yield from of.SEARCH.facts(search, {**place, "victim": name})
        for trial in search.trials:
            yield from of.TRIAL.facts(trial, {**place, "victim": name, "at": trial.strength})
        for strength in search.diverged:
            yield from of.DIVERGED_TRIAL.facts(strength, {**place, "victim": name, "at": strength})


def _alphas(hardening: Hardening, place: dict[str, Any], paper: str | None) -> Iterator[Fact]:
    if hardening.closed_form is not None:
        yield from of.THEORY.facts(hardening.closed_form, place)
    for point in hardening.alphas:
        own = {**place, "at": point.alpha, "labels": "soft", "student": hardening.thief.attack.student}
        yield from of.ALPHA.facts(point, own, paper)
        for theft in point.thefts:
            clone = {"student": theft.student, "labels": theft.labels}
            yield from of.ALPHA_THEFT.facts(theft, {**own, **clone}, paper)
        yield from of.ALPHA_ANSWERS.facts(point, own, paper)
    for alpha in hardening.diverged:
        yield from of.DIVERGED_ALPHA.facts(alpha, {**place, "at": alpha})


def data_free_facts(result: StudyResult) -> Iterator[Fact]:
    """List the figures of the data-free attacks, and their curves over the queries."""
    targets = () if result.study.theft is None else result.study.theft.targets
    target = "" if not targets else targets[0]
    in_paper = result.study.paper == "divqat" and any(is_main(one, targets) for one in targets)
    for cell in result.data_free:
        for entry in cell.comparison.entries:
            place = {
                "data": cell.data,
                "original": cell.original,
                "victim": entry.victim,
                "seed": cell.seed,
                "target": target,
                "attack": entry.attack,
                "epsilon": entry.epsilon,
                "control": entry.control,
                "labels": "hard" if entry.theft.attack.loss == "cross-entropy" else "soft",
                "student": entry.theft.attack.student,
            }
            yield from of.DATA_FREE.facts(entry, place, TABLE_III if in_paper and is_printed(entry) else None)
            for point in entry.theft.curve:
                yield from of.CURVE.facts(point, {**place, "at": point.queries})


def is_main(target: Target, targets: Sequence[Target]) -> bool:
    """Whether a study's victims of a target are those of the DivQAT paper's tables III and IV: servers, and first."""
    return target in targets[:1] and paper_name(target) == "server"


def is_printed(entry: DataFreeEntry) -> bool:
    """Whether the DivQAT paper has a column for such an attack."""
    known = entry.attack in PAPER_ATTACKS.values() and entry.control is None
    return known and entry.epsilon == published_epsilon(entry.attack)
