"""The main tables of a study's extraction attacks: the victims, joint defences, and the targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from edgerift.deploy import Target
from edgerift.facts import PAPER_ATTACKS, PLAIN, Facts, joint, published_attacks
from edgerift.facts import readings as of
from edgerift.harden import paper_name, published_epsilon
from edgerift.report.shared._comparisons import (
    Comparison,
    asked_words,
    comparisons,
    first_target,
    paper_target,
    target_words,
    tested_words,
)
from edgerift.report.shared._words import paper_note
from edgerift.report.tables._columns import Column, Row, compared, measured, ours, published, seeds_column, table
from edgerift.report.tables._data_free import budgets_words
from edgerift.report.tables._registry import study_table
from edgerift.report.tables._table import Cell, Heading, StudyTable

_DEFENDER: Final = "Defender's error (%)"
_SOFT: Final = "Adversary's error (%), soft labels"
_HARD: Final = "Adversary's error (%), hard labels"
_TARGETS_NOTE: Final = (
    "The paper's figures are those of table V of arXiv:2512.23948, for a ResNet-18 victim and a soft-label attacker."
)


@study_table(60)
def victims(found: Facts) -> StudyTable:
    """Make the table of the victims and their clones: of each the seeds that it was compared for."""
    columns = [seeds_column(found), _strength(found), *_errors("QAT"), *_without_images()]
    rows = [
        _row(found, one, name, (one.label(name),), _base(name), paper_target(found), without_images=True)
        for one in first_target(found)
        for name in one.names
        if not joint(name)
    ]
    strength = "Strength: the strongest that was allowed, from the least to the greatest of the seeds."
    return table(
        "victims",
        "Victims and their clones" + (" (the paper's table III)" if _is_of_servers(found) else ""),
        f"{target_words(found)}. {_errors_words(found)} {strength}{_without_images_words(found)}",
        found,
        ("Data", "Network", "Victim"),
        columns,
        rows,
        place="theft",
        paper=paper_note(paper_target(found)),
    )


@study_table(70)
def joint_defences(found: Facts) -> StudyTable:
    """Make the table of the joint defences, each below the defence of the answers that is a part of it."""
    columns = [seeds_column(found), _strength(found), *_errors("QAT with it")]
    rows = [
        _row(found, one, name, (one.label(name),), base, paper_target(found))
        for one in first_target(found)
        for name, base in _joint_rows(one)
    ]
    caption = (
        f"{target_words(found)}. {_errors_words(found)} A defence of the answers alone, and joined with one of the "
        "training, which is compared with the former."
    )
    title = "Joint defences" + (" (the paper's table IV)" if _is_of_servers(found) else "")
    return table(
        "joint-defences", title, caption, found, ("Data", "Network", "Victim"), columns, rows, place="theft",
        paper=paper_note(paper_target(found)),
    )  # fmt: skip


@study_table(80)
def targets(found: Facts) -> StudyTable:
    """Make the table of the victims that more than one target has."""
    everywhere = _everywhere(found)
    rows = [
        _row(found, one, name, (one.target, one.any.runtime, one.label(name)), _base(name), one.target)
        for one in comparisons(found)
        for name in one.names
        if name in everywhere
    ]
    title = "Targets" + (" (the paper's table V)" if _has_paper(found) else "")
    names, columns = ("Data", "Network", "Target", "Runtime", "Victim"), [seeds_column(found), *_errors("QAT")]
    return table(
        "targets", title, _errors_words(found), found, names, columns, rows, place="theft", paper=_TARGETS_NOTE
    )


def places(found: Facts, data: str, original: str) -> tuple[Cell, Cell]:
    """Give the first two cells of a row: the network is None where the study has no other."""
    return data, original if len(found.study.originals) > 1 else None


def _base(name: str) -> str | None:
    """Name the victim that another one is compared with."""
    return None if name == PLAIN else PLAIN


def _row(
    found: Facts,
    one: Comparison,
    name: str,
    names: tuple[Cell, ...],
    base: str | None,
    printed: Target,
    *,
    without_images: bool = False,
) -> Row:
    """Make a row of a victim; `printed` is the target of the paper's figures beside ours."""
    seeds = one.seeds(name)
    by_victim = one.facts.by("victim")
    own, other = by_victim[name], None if base is None else by_victim.get(base)
    if without_images:
        clones = found.of(of.DATA_FREE_ERROR, data=one.data, original=one.original, control=None)
        own = Facts(found.result, [*own, *clones.where(victim=name, seed=frozenset(seeds))])
        other = other and Facts(found.result, [*other, *clones.where(victim=base)])
    paper = found.where(source="published", data=one.data, victim=name, target=printed)
    return Row((*places(found, one.data, one.original), *names), own, len(seeds), other, paper)


def _errors(against: str) -> list[Column]:
    minus = f"minus {against} (points)"
    return [
        measured(of.L1, "l1"),
        ours(of.DEFENDER_ERROR, _DEFENDER),
        published(of.DEFENDER_ERROR, _DEFENDER),
        compared(of.DEFENDER_ERROR, minus, _DEFENDER),
        ours(of.CLONE_ERROR, _SOFT, labels="soft"),
        published(of.CLONE_ERROR, _SOFT, labels="soft"),
        compared(of.CLONE_ERROR, minus, _SOFT, labels="soft"),
        ours(of.CLONE_ERROR, _HARD, labels="hard"),
        compared(of.CLONE_ERROR, minus, _HARD, labels="hard"),
    ]


def _without_images() -> list[Column]:
    """List the columns that data-free attacks add, at the published epsilon."""
    columns = []
    for title, attack in PAPER_ATTACKS.items():
        group = f"Adversary's error (%), {title}"
        at = {"attack": attack, "epsilon": published_epsilon(attack)}
        columns += [
            ours(of.DATA_FREE_ERROR, group, **at),
            published(of.DATA_FREE_ERROR, group, attack=attack),
            compared(of.DATA_FREE_ERROR, "minus QAT (points)", group, **at),
        ]
    return columns


def _strength(found: Facts) -> Column:
    """Say with which strengths each victim was made."""
    words: dict[tuple[Cell, ...], str | None] = {
        (*places(found, one.data, one.original), one.label(name)): one.strengths_words(name)
        for one in first_target(found)
        for name in one.names
    }
    return Column(Heading("Strength"), lambda row: words[row.names])


def _joint_rows(one: Comparison) -> Iterator[tuple[str, str | None]]:
    """List the joint rows, each after the row that it is compared with, if there is one."""
    for name in filter(joint, one.names):
        base = name.rsplit("+", 1)[-1]
        if base in one.names:
            yield base, None
        yield name, base if base in one.names else None


def _everywhere(found: Facts) -> set[str]:
    """Name the victims that more than one target has."""
    own = found.of(of.DEFENDER_ERROR).by("victim")
    return {name for name, facts in own.items() if len(facts.distinct("target")) > 1}


def _is_of_servers(found: Facts) -> bool:
    """Say whether the first target stands for the paper's servers, which its tables III and IV are of."""
    return _has_paper(found) and paper_name(paper_target(found)) == "server"


def _has_paper(found: Facts) -> bool:
    return found.study.paper == "divqat"


def _errors_words(found: Facts) -> str:
    """Say what the errors and the distance are."""
    return (
        "Shares of the test images, in percent. Defender's error: of the victim's answers, defences included; "
        "adversary's: of the clone of the last epoch. l1: mean distance of the answers to the plain QAT build's, from "
        f"0 to 2. {tested_words(found)}. {asked_words(found)}."
    )


def _without_images_words(found: Facts) -> str:
    """Describe the data-free attackers in the table of the victims; empty without any."""
    columns = published_attacks(found)
    if not columns:
        return ""
    theirs = " The paper's MAZE is what the code of DFME runs under that name." if "MAZE" in columns else ""
    return (
        f" {' and '.join(columns)}: data-free attackers, at the published epsilon; "
        f"{budgets_words(found, columns.values())}.{theirs} Other deviations from the publications are listed below "
        "the table of data-free extraction. Where an attack was blind, as that table says, its error is evidence about "
        "the training only if the same attack without rounding extracts no more."
    )
