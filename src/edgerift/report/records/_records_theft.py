"""The figures of a study's thefts, for its long table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from edgerift.adapt import Search
from edgerift.defend import strength_of
from edgerift.harden import Hardening, TimesPart, VariantPart, paper_row
from edgerift.report.records._comparisons import PLAIN, joint
from edgerift.report.records._record import Record
from edgerift.study import StudyResult, TheftCell

#: The rows of the paper's table V.
_TARGET_ROWS: Final = ("qat", "divqat")
_TABLE_V: Final = "table V"


def theft_records(result: StudyResult) -> Iterator[Record]:
    """List every figure of every comparison, then the published ones."""
    for cell in result.thefts:
        yield from _cell_records(result, cell)
    if result.study.paper == "divqat":
        seen: set[tuple[str, str, str, str]] = set()
        for cell in result.thefts:
            yield from _published(result, cell, seen)


def _is_first(result: StudyResult, cell: TheftCell) -> bool:
    return result.study.theft is not None and cell.target == result.study.theft.targets[0]


def _tables(result: StudyResult, cell: TheftCell, name: str) -> str:
    """Name the paper's tables that a row belongs to."""
    if result.study.paper != "divqat":
        return ""
    main = ("table IV" if joint(name) else "table III") if _is_first(result, cell) else ""
    target = _TABLE_V if name in _TARGET_ROWS and len(_plan_targets(result)) > 1 else ""
    return "; ".join(filter(None, (main, target)))


def _plan_targets(result: StudyResult) -> tuple[str, ...]:
    return () if result.study.theft is None else result.study.theft.targets


def _cell_records(result: StudyResult, cell: TheftCell) -> Iterator[Record]:
    hardening = cell.hardening
    paper, student = result.study.paper == "divqat", hardening.thief.attack.student
    start = Record(data=cell.data, original=cell.original, seed=cell.seed, target=cell.target)
    for name, part in hardening.victim.items():
        own = replace(start, victim=name)
        yield from _victim_records(own, part, _tables(result, cell, name), paper)
        yield from _cost_records(own, part, hardening.times.get(name, TimesPart()), "table I" if paper else "")
        yield from _clone_records(replace(own, student=student), part, _tables(result, cell, name))
    plain = replace(start, victim=PLAIN)
    cost = "table I" if paper else ""
    yield from plain.mean("l1 of another seed", "l1", hardening.noise.test, paper=cost)
    yield from plain.mean("l1 of another seed on the questions", "l1", hardening.noise.queries)
    for name, search in hardening.searches.items():
        yield from _search_records(replace(start, victim=name), search)
    yield from _theory_records(replace(start, victim="divqat"), hardening)
    yield from _alpha_records(replace(start, victim="divqat", labels="soft", student=student), hardening, paper)
    for point in hardening.students:
        own = replace(start, victim=point.victim, student=point.student, labels=point.labels)
        yield from own.share("adversary's error", point.adversary_error, paper="figure 3" if paper else "")
        yield from own.share("disagreement", point.disagreement, paper="figure 3" if paper else "")
    for defence, points in hardening.sweeps.items():
        for swept in points:
            at, about = float(swept.strength), f"sweep of {defence}"
            yield from plain.plain(f"{about}: l1", "l1", swept.l1, at=at)
            yield from plain.plain(f"{about}: error", "share", swept.error, at=at)
            yield from plain.plain(f"{about}: labels changed", "share", swept.changed, at=at)


def _cost_records(start: Record, part: VariantPart, times: TimesPart, paper: str) -> Iterator[Record]:
    yield from start.plain("time of an answer", "ms", times.answer_milliseconds, paper=paper)
    yield from start.plain("time that the defence adds", "ms", times.defence_milliseconds, paper=paper)
    yield from start.plain("whole answer over plain QAT's", "ratio", times.slowdown, paper=paper)
    yield from start.plain("shipped", "bytes", part.shipped_bytes, paper=paper)


def _victim_records(start: Record, part: VariantPart, tables: str, paper: bool) -> Iterator[Record]:
    cost = "table I" if paper else ""
    yield from start.share("defender's error", part.defender_error, paper=tables)
    yield from start.mean("l1", "l1", part.l1, paper="; ".join(filter(None, (cost, tables))))
    yield from start.mean("l1 on the questions", "l1", part.l1_queries)
    yield from start.share("labels changed", part.changed, paper=cost)
    yield from start.mean("KL to the original", "nats", part.divergence)
    yield from start.plains(
        {
            ("calibration error", "share"): part.calibration_error,
            ("negative log-likelihood", "nats"): part.negative_log_likelihood,
            ("highest probability", "share"): part.top1,
            ("second probability", "share"): part.top2,
            ("strength of the training's defence", "strength"): part.strength,
        }
    )
    for defence in part.defences:
        yield from start.plain(f"strength of {defence.type}", "strength", strength_of(defence))
    for number, one in enumerate(part.reliability, 1):
        if one.images:
            shares = {"reliability: mean confidence": one.confidence, "reliability: accuracy": one.accuracy}
            for metric, value in shares.items():
                yield from start.plain(metric, "share", value, at=number, count=one.images)


def _clone_records(start: Record, part: VariantPart, tables: str) -> Iterator[Record]:
    for labels in ("soft", "hard"):
        own, soft = replace(start, labels=labels), labels == "soft"
        error = part.adversary_error.soft if soft else part.adversary_error.hard
        best = part.best_epoch.soft if soft else part.best_epoch.hard
        yield from own.share("adversary's error", error, paper=tables)
        yield from own.share("disagreement", part.disagreement.soft if soft else part.disagreement.hard)
        yield from own.plain("adversary's error of the best epoch", "share", best.error, at=best.epoch)


def _search_records(start: Record, search: Search) -> Iterator[Record]:
    yield from start.plain("search: chosen strength", "strength", search.chosen)
    yield from start.plain("search: l1 of another seed", "l1", search.floor)
    yield from start.plain("search: accuracy of the plain model", "share", search.reference_accuracy)
    for trial in search.trials:
        yield from start.plain("search: l1", "l1", trial.l1, at=trial.strength)
        yield from start.plain("search: KL to the original", "nats", trial.divergence, at=trial.strength)
        yield from start.plain("search: accuracy", "share", trial.accuracy, at=trial.strength)
        yield from start.plain("search: labels changed", "share", trial.changed, at=trial.strength)
        yield from start.plain("search: allowed", "", float(trial.allowed), at=trial.strength)


def _theory_records(start: Record, hardening: Hardening) -> Iterator[Record]:
    form = hardening.closed_form
    if form is None:
        return
    yield from start.plain("theory: median margin", "nats", form.margin)
    yield from start.plain("theory: alpha of a poisoned optimum", "strength", form.appears)
    yield from start.plain("theory: alpha that turns the label", "strength", form.flips)
    yield from start.plain("first alpha beyond another seed", "strength", form.first_beyond_noise)
    yield from start.plain("first alpha that costs too much accuracy", "strength", form.first_flip)


def _alpha_records(start: Record, hardening: Hardening, paper: bool) -> Iterator[Record]:
    four, five, six = ("figure 4", "figure 5", "figure 6") if paper else ("", "", "")
    for point in hardening.alphas:
        yield from start.share("defender's error", point.defender_error, at=point.alpha, paper=four)
        yield from start.share("adversary's error", point.adversary_error, at=point.alpha, paper=four)
        yield from start.share("disagreement", point.disagreement, at=point.alpha, paper=five)
        for theft in point.thefts:
            own = replace(start, student=theft.student, labels=theft.labels)
            yield from own.share("adversary's error", theft.adversary_error, at=point.alpha, paper=four)
            yield from own.share("disagreement", theft.disagreement, at=point.alpha, paper=five)
        yield from start.plain("KL to the original", "nats", point.divergence, at=point.alpha, paper=six)
        yield from start.plain("l1", "l1", point.l1, at=point.alpha)


def _published(result: StudyResult, cell: TheftCell, seen: set[tuple[str, str, str, str]]) -> Iterator[Record]:
    """List what the paper prints for a comparison's rows, each once; tables III and IV are of target server."""
    source = cell.hardening.data.source
    for name in cell.hardening.victim:
        table = "table IV" if joint(name) else "table III"
        of_target = paper_row(source, name, cell.target)
        found = [(table, "server", paper_row(source, name))] if _is_first(result, cell) else []
        found += [(_TABLE_V, cell.target, of_target)] if name in _TARGET_ROWS else []
        for where, target, printed in found:
            key = (cell.data, name, where, target)
            if printed is None or key in seen:
                continue
            seen.add(key)
            start = Record(where, "published", cell.data, victim=name, target=target, unit="share")
            yield replace(start, metric="defender's error", value=round(printed.defender_error, 6))
            yield replace(start, metric="adversary's error", labels="soft", value=round(printed.adversary_error, 6))
