"""A hardening against evasion as tables: what each of the means reaches, and what was chosen on the test images."""

from __future__ import annotations

from typing import Final

from edgerift.harden import EvasionHardening, ReachPart, TrialPart
from edgerift.report.shared._words import percent
from edgerift.report.tables._table import Cell, Heading, StudyTable, made_table, share_number

_NONE: Final = "none"
INTERVALS: Final = "Intervals are exact 95 % intervals (Clopper-Pearson)."


def tried_table(found: EvasionHardening) -> StudyTable:
    """Make the table of all trials, on the validation images."""
    rows = [[part.title, _guard(trial), *_figures(trial)] for part in found.tried for trial in part.trials]
    caption = (
        f"On validation images, under the attack '{found.selecting}', whose gradients are the build's twin's and which "
        "knows the guard. Coverage is the share of images answered, accuracy that on these."
    )
    headings = [Heading("Means"), *_headings(found.tried[0].trials[0])]
    return made_table("tried", "Means", caption, INTERVALS, headings, rows, place="theft", names=2)


def test_table(found: EvasionHardening) -> StudyTable:
    """Make the table of the undefended build and of the one that is written, on the test images."""
    names = {"undefended": f"Undefended ({found.means(found.undefended).title})", "hardened": "Hardened"}
    rows = [
        [name, _guard(found.test[key]), *_figures(found.test[key]), *_shares(found.test[key].furthest)]
        for key, name in names.items()
        if key in found.test
    ]
    headings = [
        Heading("Build"),
        *_headings(found.test["hardened"]),
        Heading("Forced to abstain (%)"),
        Heading("Certified (%)"),
    ]
    caption = (
        f"On the test images, under the attack '{found.judging}'; the undefended build under '{found.selecting}', "
        "which is a lower bound. Forced to abstain: images to which an attacker can "
        f"keep the build from answering, within {found.test['hardened'].furthest.epsilon} grey levels. Certified: "
        "images for which it is proved that no image of the box evades."
    )
    return made_table("test", "On the test images", caption, INTERVALS, headings, rows, place="theft", names=2)


def _headings(trial: TrialPart) -> list[Heading]:
    return [
        Heading("Guard"),
        Heading("Coverage (%)"),
        Heading("Accuracy (%)"),
        *(Heading(f"Evasive (%), epsilon {one.epsilon}") for one in trial.reach),
    ]


def _figures(trial: TrialPart) -> list[Cell]:
    return [
        share_number(trial.coverage.value),
        share_number(trial.accuracy.value),
        *(share_number(one.evasive) for one in trial.reach),
    ]


def _guard(trial: TrialPart) -> str:
    return _NONE if trial.wanted is None else percent(trial.wanted)


def _shares(reach: ReachPart) -> list[Cell]:
    return [None if one is None else share_number(one) for one in (reach.abstained, reach.certified)]
