"""The further tables of a study's thefts: what defences cost, how strengths were found, students and alphas."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from edgerift.adapt import Search
from edgerift.harden import Hardening, TimesPart, VariantPart
from edgerift.measure import Interval
from edgerift.report.hardening._words import figure
from edgerift.report.records._alpha_thieves import other_thieves, taken, thief_words
from edgerift.report.records._comparisons import PLAIN, Comparison, Comparisons, trained
from edgerift.report.tables._spread import average, difference, interval_words, means, seeds_words, shares
from edgerift.report.tables._table import Cell, Heading, Number, StudyTable, made_table
from edgerift.report.tables._theft import asked_words, tested_words

_PLACES: Final = (Heading("Data"), Heading("Network"))


def more_theft_tables(found: Comparisons) -> list[StudyTable]:
    """Make the tables of what is measured beside the errors; those that nothing is known for are left out."""
    tables = [_cost(found), _searches(found), _students(found), _alphas(found)]
    return [table for table in tables if table.rows]


def _cost(found: Comparisons) -> StudyTable:
    headings = [
        *_PLACES,
        Heading("Target"),
        Heading("Victim"),
        Heading("Seeds"),
        Heading("Defence sits in"),
        Heading("Shipped (kB)"),
    ]
    headings += [Heading(name, "Time of an answer (ms)") for name in ("network", "defence adds")]
    headings += [
        Heading("Defence adds (%)"),
        Heading("Whole answer over plain QAT's"),
        Heading("it causes", "l1"),
        Heading("another seed", "l1"),
    ]
    headings += [Heading("Labels changed (%)"), Heading("Calibration error (%)")]
    rows = [[*found.places(one), one.target, *_cost_row(found, one, name)] for one in found.all() for name in one.names]
    caption = (
        "What each victim's defence costs its users, measured. Shipped: all that has to be there for an answer; an "
        "auxiliary network would add its size. Times are medians over single answers on the build's runtime, in the "
        "process that asks; the original, which nobody ships so, is not timed. Whole answer over plain QAT's: the "
        "median ratio to the plain build's answers in the same moments. l1 (0 to 2) and labels changed "
        "are against the plain QAT build's answers; another seed: between two plain QAT models of different training "
        f"seeds. Calibration error: expected, 15 bins. {tested_words(found)}."
    )
    return made_table(
        "cost",
        "What the defences cost" + (" (the paper's table I, measured)" if found.paper() else ""),
        caption,
        interval_words(found.study),
        headings,
        rows,
        place="theft",
        names=4,
    )


def _cost_row(found: Comparisons, one: Comparison, name: str) -> list[Cell]:
    parts = one.parts(name)
    count = len(parts)
    own = list(parts.values())
    times = one.times(name)
    added = [part.defence_milliseconds for part in times]
    return [
        one.title(name),
        seeds_words(count, found.seeds),
        _where(one, name),
        average([_kilobytes(part) for part in own], count, 0, within=(0.0, math.inf)),
        average([part.answer_milliseconds for part in times], count, 3, within=(0.0, math.inf)),
        average(added, count, 3, within=(0.0, math.inf)),
        average([_relative(part) for part in times], count, 1, within=(0.0, math.inf)),
        average([part.slowdown for part in times], count, 2, within=(0.0, math.inf)),
        means([part.l1 for part in own], count),
        means([one.by_seed[seed].noise.test for seed in parts], count),
        shares([part.changed for part in own], count),
        average([100 * part.calibration_error for part in own], count, 1, within=(0.0, 100.0)),
    ]


def _where(one: Comparison, name: str) -> str | None:
    hardenings = [hardening for hardening in one.by_seed.values() if name in hardening.victim]
    places = []
    if any(trained(hardening, name) for hardening in hardenings):
        places.append("training")
    if any(hardening.victim[name].defences for hardening in hardenings):
        places.append("answers")
    return " and ".join(places) or None


def _kilobytes(part: VariantPart) -> float | None:
    return None if part.shipped_bytes is None else part.shipped_bytes / 1000


def _relative(part: TimesPart) -> float | None:
    if part.defence_milliseconds is None or not part.answer_milliseconds:
        return None
    return 100 * part.defence_milliseconds / part.answer_milliseconds


def _searches(found: Comparisons) -> StudyTable:
    headings = [*_PLACES, Heading("Target"), Heading("Victim"), Heading("Seed")]
    headings += [Heading(name, "Strength") for name in ("chosen", "tried")]
    headings += [Heading(name, "l1") for name in ("of the chosen", "allowed", "another seed")]
    headings += [Heading(name, "Accuracy lost (points)") for name in ("by the chosen", "allowed")]
    headings += [Heading("Beyond another seed")]
    rows = [
        [*found.places(one), one.target, one.title(name), str(seed), *_search_row(search)]
        for one in found.all()
        for name, seed, search in _searches_of(one)
    ]
    return made_table(
        "searches",
        "How the strengths of the training were chosen",
        "On the validation images, for each seed: the strongest of those tried that kept within both allowances. l1: "
        "mean distance of the answers to the plain QAT model's; another seed: between two plain QAT models of "
        "different training seeds. A strength that is not beyond it does no more than another seed would.",
        "",
        headings,
        rows,
        place="theft",
        names=5,
        detail=True,
    )


def _searches_of(one: Comparison) -> Iterator[tuple[str, int, Search]]:
    names = dict.fromkeys(name for hardening in one.by_seed.values() for name in hardening.searches)
    for name in names:
        for seed, hardening in one.by_seed.items():
            if name in hardening.searches:
                yield name, seed, hardening.searches[name]


def _search_row(search: Search) -> list[Cell]:
    found = next((trial for trial in search.trials if trial.strength == search.chosen), None)
    tried = ", ".join(figure(trial.strength) for trial in search.trials)
    lost = None if found is None else Number(100 * (search.reference_accuracy - found.accuracy), kind="points")
    return [
        "none" if search.chosen is None else Number(search.chosen, kind="strength"),
        tried,
        None if found is None else Number(found.l1, decimals=3),
        Number(search.allowance.l1, decimals=3),
        Number(search.floor, decimals=3),
        lost,
        Number(100 * search.allowance.accuracy_drop),
        "yes" if search.beyond_noise else "no",
    ]


def _students(found: Comparisons) -> StudyTable:
    headings = [*_PLACES, Heading("Clone"), Heading("Victim"), Heading("Seeds")]
    for labels in ("soft", "hard"):
        group = f"Adversary's error (%), {labels} labels"
        headings += [Heading("clone", group), Heading("minus QAT (points)", group)]
    headings += [Heading(labels, "Disagreement (%)") for labels in ("soft", "hard")]
    rows = [
        [*found.places(one), student, one.title(victim), *_student_row(found, one, victim, student)]
        for one in found.all()
        if any(hardening.students for hardening in one.by_seed.values())
        for student in _student_names(one)
        for victim in _stolen(one)
    ]
    return made_table(
        "students",
        "Clones of other networks" + (" (the paper's figure 3)" if found.paper() else ""),
        f"{found.target_words()}. Error: of the clone; disagreement: clone and victim give different labels. Shares of "
        f"the test images. {tested_words(found)}. {asked_words(found)}; the other networks are trained likewise.",
        interval_words(found.study),
        headings,
        rows,
        place="theft",
        names=4,
        detail=True,
    )


def _stolen(one: Comparison) -> list[str]:
    """Name the victims that every student stole, the plain one first."""
    points = {point.victim for hardening in one.by_seed.values() for point in hardening.students}
    return [name for name in one.names if name in points]


def _student_names(one: Comparison) -> list[str]:
    """Name the networks of the clones, the attack's own first."""
    own = {hardening.thief.attack.student: None for hardening in one.by_seed.values()}
    others = {point.student: None for hardening in one.by_seed.values() for point in hardening.students}
    return list(own | others)


def student_shares(hardening: Hardening, victim: str, student: str, labels: str) -> tuple[Interval, Interval] | None:
    """Look up a clone's error and disagreement; None where that network did not steal that victim."""
    if student == hardening.thief.attack.student and victim in hardening.victim:
        part = hardening.victim[victim]
        soft = labels == "soft"
        error, apart = part.adversary_error, part.disagreement
        return (error.soft, apart.soft) if soft else (error.hard, apart.hard)
    for point in hardening.students:
        if (point.victim, point.student, point.labels) == (victim, student, labels):
            return point.adversary_error, point.disagreement
    return None


def _student_row(found: Comparisons, one: Comparison, victim: str, student: str) -> list[Cell]:
    errors: list[Cell] = []
    disagreements: list[Cell] = []
    seeds = 0
    for labels in ("soft", "hard"):
        own, base = (_by_seed(one, name, student, labels) for name in (victim, PLAIN))
        seeds = max(seeds, len(own))
        error = {seed: pair[0] for seed, pair in own.items()}
        against = (
            None if victim == PLAIN else difference(error, {seed: pair[0] for seed, pair in base.items()}, len(own))
        )
        errors += [shares(list(error.values()), len(own)), against]
        disagreements.append(shares([pair[1] for pair in own.values()], len(own)))
    return [seeds_words(seeds, found.seeds), *errors, *disagreements]


def _by_seed(one: Comparison, victim: str, student: str, labels: str) -> dict[int, tuple[Interval, Interval]]:
    pairs = {seed: student_shares(hardening, victim, student, labels) for seed, hardening in one.by_seed.items()}
    return {seed: pair for seed, pair in pairs.items() if pair is not None}


def _alphas(found: Comparisons) -> StudyTable:
    headings = [*_PLACES, Heading("Alpha"), Heading("Seeds"), Heading("l1"), Heading("KL to the original (nats)")]
    headings += [Heading("Defender's error (%)")]
    thieves = other_thieves(
        point for one in found.all() for hardening in one.by_seed.values() for point in hardening.alphas
    )
    headings += [Heading(name, "Adversary's error (%)") for name in ("soft labels", *map(thief_words, thieves))]
    headings += [Heading("Disagreement (%)")]
    rows: list[list[Cell]] = []
    for one in found.all():
        alphas = sorted({point.alpha for hardening in one.by_seed.values() for point in hardening.alphas})
        for alpha in alphas:
            points = [point for hardening in one.by_seed.values() for point in hardening.alphas if point.alpha == alpha]
            count = len(points)
            row: list[Cell] = [*found.places(one), figure(alpha), seeds_words(count, found.seeds)]
            row += [average([point.l1 for point in points], count, 3, within=(0.0, 2.0))]
            row += [average([point.divergence for point in points], count, 4, within=(0.0, math.inf))]
            row += [
                shares([point.defender_error for point in points], count),
                shares([point.adversary_error for point in points], count),
                *(shares(taken(points, thief, "adversary_error"), count) for thief in thieves),
                shares([point.disagreement for point in points], count),
            ]
            rows.append(row)
    return made_table(
        "alphas",
        "DivQAT over alpha" + (" (the paper's figures 4 to 6)" if found.paper() else ""),
        f"{found.target_words()}. DivQAT trained with each alpha, without a search, and stolen with soft labels. "
        "l1: mean distance of its answers to the plain QAT build's; KL: divergence of its answers from the original's. "
        f"Shares of the test images. {tested_words(found)}. {asked_words(found)}.",
        interval_words(found.study),
        headings,
        rows,
        place="theft",
        names=3,
        detail=True,
    )
