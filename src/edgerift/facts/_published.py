"""The papers' results, as facts beside the measured ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgerift.facts import readings as of
from edgerift.facts._metric import Fact
from edgerift.facts._names import ORIGINAL_VICTIM, joint
from edgerift.facts._printed import published_accuracies
from edgerift.facts._walk import TABLE_III, TABLE_IV, TABLE_V, TARGET_ROWS, evasion_table, is_main, is_printed
from edgerift.harden import paper_clone_error, paper_row
from edgerift.study import StudyResult


def published_accuracy_facts(result: StudyResult) -> Iterator[Fact]:
    """List the accuracies of the DIVA paper's tables 1 and 2; none for a study that is not of it."""
    if result.study.paper != "diva" or not result.pairs:
        return
    for data, choice in result.study.data.items():
        for network in result.study.originals:
            printed = published_accuracies(choice.source or data, network)
            if printed is not None:
                table = evasion_table(result, data)
                found = {ORIGINAL_VICTIM: printed.original, "qat": printed.adapted}
                for victim, share in found.items():
                    reading = of.ORIGINAL_ACCURACY if victim == ORIGINAL_VICTIM else of.ADAPTED_ACCURACY
                    yield Fact(reading, round(share / 100, 6), table, "published", data, network, victim)


def published_theft_facts(result: StudyResult) -> Iterator[Fact]:
    """List the errors of the DivQAT paper's tables III to V for the victims compared, each once.

    Tables III and IV are of servers: they have no figures for a study that compares those victims on another target.
    """
    if result.study.paper != "divqat":
        return
    targets = () if result.study.theft is None else result.study.theft.targets
    seen: set[tuple[str, str, str, str]] = set()
    for cell in result.thefts:
        for name in cell.hardening.victim:
            tables = [TABLE_IV if joint(name) else TABLE_III] if is_main(cell.target, targets) else []
            tables += [TABLE_V] if name in TARGET_ROWS else []
            for table in tables:
                printed = paper_row(cell.hardening.data.source, name, cell.target)
                if printed is None or (cell.data, name, table, cell.target) in seen:
                    continue
                seen.add((cell.data, name, table, cell.target))
                start: dict[str, Any] = {
                    "data": cell.data,
                    "victim": name,
                    "target": cell.target,
                    "source": "published",
                    "paper": table,
                }
                yield Fact(of.DEFENDER_ERROR, round(printed.defender_error, 6), **start)
                yield Fact(of.CLONE_ERROR, round(printed.adversary_error, 6), labels="soft", **start)


def published_clone_facts(result: StudyResult) -> Iterator[Fact]:
    """List the errors of the DivQAT paper's table III for the data-free attacks run as published."""
    targets = () if result.study.theft is None else result.study.theft.targets
    if result.study.paper != "divqat" or not any(is_main(one, targets) for one in targets):
        return
    seen: set[tuple[str, str, str]] = set()
    for cell in result.data_free:
        source = result.study.data[cell.data].source or cell.data
        for entry in cell.comparison.entries:
            key = (cell.data, entry.victim, entry.attack)
            printed = paper_clone_error(source, entry.victim, entry.attack)
            if printed is not None and is_printed(entry) and key not in seen:
                seen.add(key)
                place: dict[str, Any] = {
                    "data": cell.data,
                    "victim": entry.victim,
                    "attack": entry.attack,
                    "target": targets[0],
                }
                yield Fact(of.DATA_FREE_ERROR, printed, TABLE_III, "published", labels="soft", **place)
