"""The tables of a study's further attackers: who lacks a model, DIVA's weight, flipped bits, and unlabelled images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgerift.evade import Diva
from edgerift.facts import Facts, Reading
from edgerift.facts import readings as of
from edgerift.measure import mcnemar
from edgerift.report.tables._columns import Column, Row, measured, seeds_column, table
from edgerift.report.tables._evasion import NAMES, attack_rows, attacked_words, spots
from edgerift.report.tables._registry import study_table
from edgerift.report.tables._table import Cell, Heading, Number, StudyTable


@study_table(24)
def knowledge(found: Facts) -> StudyTable | None:
    """Make the table of the attackers who lack a model."""
    plan = found.study.evasion
    rows = [] if plan is None else [row for row in attack_rows(found) if row.facts.of(of.PAID)]
    if plan is None or not rows:
        return None
    columns = [
        seeds_column(found),
        measured(of.PAID, "queries paid", "Surrogate", decimals=0),
        measured(of.AGREES, "as the build", "Surrogate (%)"),
        measured(of.AGREES_ORIGINAL, "as the original", "Surrogate (%)"),
        measured(of.EVASIVE, "judged once", "Evasive (%)"),
    ]
    caption = (
        f"{attacked_words(found)}. A clone, trained on the answers of the build, stands for the original; who knows "
        "answers alone quantizes it to stand for the build, too. Surrogate: how many queries were paid for, and on "
        "which share of the test images its top class is that of the build and of the original. A search stops where "
        "its models say that the image evades, and each judge is asked once. The attacks with both models are above, "
        "and McNemar's tests on the same images below."
    )
    return table(
        "knowledge", "Attackers who lack the original, or both models", caption, found, (*NAMES, "Attack"), columns,
        rows, place="evasion",
    )  # fmt: skip


@study_table(26)
def weights(found: Facts) -> StudyTable | None:
    """Make the table of DIVA's weight c: what fooling the build costs of the original."""
    chosen = {} if found.study.evasion is None else found.study.evasion.attacks
    objectives = {name: choice.attack.objective for name, choice in chosen.items() if choice.knows == "both"}
    known = {name: objective.c for name, objective in objectives.items() if isinstance(objective, Diva)}
    if len(set(known.values())) < 2:
        return None
    rows = [
        Row((*names, Number(known[attack], decimals=1)), spot.where(attack=attack), len(evaded))
        for names, spot in spots(found)
        for attack in sorted(known, key=lambda name: known[name])
        if (evaded := spot.of(of.EVASIVE, attack=attack))
    ]
    columns = [
        seeds_column(found),
        measured(of.EVASIVE, "both at once", "Evasive (%)"),
        measured(of.FOOLED),
        measured(of.ORIGINAL_FOOLED),
    ]
    caption = (
        f"{attacked_words(found)}. DIVA raises p(original) - c * p(adapted). Evasive: the original is right and the "
        "adapted model wrong at one step; adapted wrong: at any step, whatever the original says; original wrong: at "
        "the image that the search kept."
    )
    title = "DIVA's weight c: the build fooled, the original kept"
    return table("weights", title, caption, found, (*NAMES, "c"), columns, rows, place="evasion", detail=True)


@study_table(32)
def flips(found: Facts) -> StudyTable | None:
    """Make the table of flipped bits."""
    rows = list(_beside(found, of.FLIPPED_ACCURACY))
    if not rows:
        return None
    columns = [
        seeds_column(found),
        measured(of.BITS_NEEDED, decimals=1),
        measured(of.BITS_REACH, "reach chance", "Searches (%)"),
        measured(of.ADAPTED_ACCURACY, "before", "Accuracy (%)"),
        measured(of.FLIPPED_ACCURACY, "chosen flips", "Accuracy (%)"),
        measured(of.RANDOM_FLIPPED_ACCURACY, "random flips", "Accuracy (%)"),
    ]
    caption = (
        "Bits of the stored int8 weights, chosen by progressive bit search until the build is at chance, or all that "
        "were allowed; the flipped build is judged on its runtime. Random flips: as many bits drawn at random."
    )
    title = "Bit flips: how few destroy a build"
    return table("flips", title, caption, found, NAMES, columns, rows, place="evasion", detail=True)


@study_table(33)
def differences(found: Facts) -> StudyTable | None:
    """Make the table of differential testing."""
    rows = list(_beside(found, of.DIFFERENCES))
    if not rows:
        return None
    columns = [
        seeds_column(found),
        measured(of.DIFFERENCES, "search", "Found (%)"),
        measured(of.RANDOM_DIFFERENCES, "random", "Found (%)"),
        measured(of.DIFFER_BUILD_WRONG, "build", "Wrong of those found", decimals=0),
        measured(of.DIFFER_ORIGINAL_WRONG, "original", "Wrong of those found", decimals=0),
        Column(Heading("McNemar's p"), _searched_or_chance),
    ]
    caption = (
        "Images on which original and build answer differently, searched for without labels, of those on which both "
        "agree. Random: changes of the same kind at the same cost. p: McNemar's exact test of what one of them found "
        "alone, summed over the seeds."
    )
    title = "Differential testing"
    return table("differences", title, caption, found, NAMES, columns, rows, place="evasion", detail=True)


def _searched_or_chance(row: Row) -> Cell:
    search, chance = (
        int(sum(fact.value for fact in row.facts.of(reading)))
        for reading in (of.DIFFER_SEARCH_ALONE, of.DIFFER_CHANCE_ALONE)
    )
    return Number(mcnemar(search, chance), kind="p")


def _beside(found: Facts, reading: Reading[Any]) -> Iterator[Row]:
    """Make a row for each adapted network that has a figure."""
    for names, spot in spots(found):
        if known := spot.of(reading):
            yield Row(names, spot, len(known))
