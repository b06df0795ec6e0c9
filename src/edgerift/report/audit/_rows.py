"""What the reports list, in reading order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgerift.audit import EvasionPart, FindingPart, FlagPart, LayerPart
from edgerift.measure import Interval, Rate, interval
from edgerift.report.shared._words import class_name

#: Levels of a flag, the most severe first.
LEVELS = ("error", "warning", "note", "ok")


@dataclass(frozen=True)
class ClassRow:
    """One class under the main attack; `rate` is None when none of its images was attacked.

    `instead` is the most common wrong prediction of the build, `instead_count` its count.
    """

    name: str
    attacked: int
    evasive: int
    rate: Interval | None
    instead: str
    instead_count: int


def attack_order(evasion: EvasionPart) -> tuple[str, ...]:
    """Name the attacks as every table and chart lists them: the main one first."""
    return (evasion.main_attack, *(name for name in evasion.attacks if name != evasion.main_attack))


def class_rows(evasion: EvasionPart, classes: Sequence[str]) -> list[ClassRow]:
    """List the classes by evasive share, the highest first."""
    answers: dict[str, Counter[int]] = {}
    for finding in evasion.findings:
        if finding.attack == evasion.main_attack:
            answers.setdefault(class_name(classes, finding.label), Counter())[finding.build_label] += 1
    rows = []
    for part in evasion.main.by_class:
        share = interval(Rate(part.evasive, part.attacked)) if part.attacked else None
        common = answers.get(part.name, Counter()).most_common(1)
        instead, count = (class_name(classes, common[0][0]), common[0][1]) if common else ("", 0)
        rows.append(ClassRow(part.name, part.attacked, part.evasive, share, instead, count))
    return sorted(rows, key=lambda row: (-(row.rate.value if row.rate else -1), -row.attacked))


def layer_rows(evasion: EvasionPart) -> list[LayerPart]:
    """Rank the layers, the one whose quantization matters most first."""
    return sorted(evasion.layers, key=lambda layer: -layer.healed.value)


def surest_first(evasion: EvasionPart) -> list[FindingPart]:
    """Order the findings: the main attack's first, then by the build's confidence in its wrong prediction."""
    attacks = attack_order(evasion)
    places = {name: place for place, name in enumerate(attacks)}
    return sorted(
        evasion.findings,
        key=lambda one: (places.get(one.attack, len(attacks)), one.attack, -one.build_probability, one.index),
    )


def every_finding(evasion: EvasionPart) -> list[FindingPart]:
    """Order all findings: those of the pair, then those on which the builds of a fleet disagree."""
    fleet = () if evasion.fleet is None else evasion.fleet.findings
    return [*surest_first(evasion), *sorted(fleet, key=lambda one: (-one.build_probability, one.id))]


def by_level(flags: Sequence[FlagPart]) -> list[FlagPart]:
    """Order flags, the most severe first."""
    return sorted(flags, key=lambda flag: LEVELS.index(flag.level))
