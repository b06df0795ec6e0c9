"""What else was measured of each victim's answers and clones, and of a lone comparison every strength tried."""

from __future__ import annotations

from typing import Any, Final

from edgerift.facts import Facts, Reading
from edgerift.facts import readings as of
from edgerift.report.shared._comparisons import Comparison, asked_words, comparisons, lone, tested_words
from edgerift.report.shared._words import figure
from edgerift.report.tables._columns import Column, Row, measured, seeds_column, table
from edgerift.report.tables._registry import study_table
from edgerift.report.tables._table import Heading, StudyTable
from edgerift.report.tables._theft import places

_BEST: Final = "Adversary's error at its best epoch (%)"
_PROBABILITY: Final = "Probability (%)"
#: The figures of a strength that was tried, with their headings and decimals.
_TRIED: Final[tuple[tuple[Reading[Any], str, int], ...]] = (
    (of.TRIAL_L1, "l1", 3),
    (of.TRIAL_KL, "KL to the original (nats)", 4),
    (of.TRIAL_ACCURACY, "Accuracy (%)", 1),
    (of.TRIAL_CHANGED, "Labels changed (%)", 1),
)


@study_table(75)
def answers(found: Facts) -> StudyTable:
    """Make the table of the answers and the clones of every victim."""
    columns = [
        seeds_column(found),
        *(measured(of.CLONE_DISAGREEMENT, labels, "Disagreement (%)", labels=labels) for labels in of.LABELS),
        *(measured(of.BEST_EPOCH, labels, _BEST, labels=labels) for labels in of.LABELS),
        measured(of.L1_QUESTIONS, "l1 on the queries"),
        measured(of.KL),
        measured(of.LIKELIHOOD, decimals=3),
        measured(of.TOP1, "highest", _PROBABILITY),
        measured(of.TOP2, "second", _PROBABILITY),
    ]
    rows = [
        Row((*places(found, one.data, one.original), one.target, one.label(name)), own[name], len(one.seeds(name)))
        for one in comparisons(found)
        for own in [one.facts.by("victim")]
        for name in one.names
    ]
    caption = (
        "Disagreement: clone and victim give different labels, the clone trained on probabilities (soft) or on labels "
        "alone (hard). Best epoch: chosen on the test images, which favours the attacker; all other results are from "
        "the last epoch. KL: divergence of a victim's answers from the original's. Probability: mean of the highest "
        f"and of the second highest. {tested_words(found)}. {asked_words(found)}."
    )
    names = ("Data", "Network", "Target", "Victim")
    return table("answers", "Answers and clones", caption, found, names, columns, rows, place="theft", detail=True)


@study_table(125)
def trials(found: Facts) -> StudyTable | None:
    """Make the table of every strength that the searches of a lone comparison tried."""
    if lone(found) is None:
        return None
    (one,) = comparisons(found)
    columns = [
        *(measured(reading, name, decimals=decimals) for reading, name, decimals in _TRIED),
        Column(Heading("Allowed"), lambda row: _is_allowed(row, one)),
    ]
    rows = [
        Row((*places(found, one.data, one.original), one.title(name), figure(strength)), own, 1)
        for (name, strength), own in sorted(one.facts.of(*of.TRIAL.readings, of.DIVERGED).by("victim", "at").items())
    ]
    return table(
        "trials", "Every strength tried", "Training runs of the searches, on the validation images.", found,
        ("Data", "Network", "Victim", "Strength"), columns, rows, place="theft", detail=True, intervals="",
    )  # fmt: skip


def _is_allowed(row: Row, one: Comparison) -> str:
    """Say whether a strength was allowed, and why nothing of it is evidence where that is so."""
    accuracies = row.facts.of(of.TRIAL_ACCURACY)
    if not accuracies:
        return "no (diverged)"
    dead = " (collapsed)" if one.guesses(accuracies[0].value) else ""
    return ("yes" if row.facts.of(of.TRIAL_ALLOWED)[0].value else "no") + dead
