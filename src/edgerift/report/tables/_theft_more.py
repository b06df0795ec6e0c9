"""Further tables of extraction attacks: what defences cost, how strengths were found, students and alphas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from edgerift.facts import PLAIN, Fact, Facts, Part, Reading
from edgerift.facts import readings as of
from edgerift.report.shared._collapses import of_seeds_words
from edgerift.report.shared._comparisons import Comparison, asked_words, comparisons, target_words, tested_words
from edgerift.report.shared._thieves import Thief, other_thieves, thief_title
from edgerift.report.shared._words import figure
from edgerift.report.tables._columns import Column, Row, measured, points, seeds_column, share, table
from edgerift.report.tables._registry import study_table
from edgerift.report.tables._table import Cell, Heading, Number, StudyTable
from edgerift.report.tables._theft import places

_TIME: Final = "Time of an answer (ms)"
_DISAGREEMENT: Final = "Disagreement (%)"
_ROUNDING: Final = 1e-9
_OF_SEARCHES: Final[tuple[Reading[Any], ...]] = (*of.SEARCH.readings, *of.TRIAL.readings, *of.DIVERGED_TRIAL.readings)

_AT_ALPHAS: Final[tuple[Part[Any], ...]] = (of.ALPHA, of.ALPHA_THEFT, of.ALPHA_ANSWERS, of.DIVERGED_ALPHA)


@study_table(100)
def cost(found: Facts) -> StudyTable:
    """Make the table of what the defences cost."""
    where: dict[tuple[Cell, ...], str | None] = {
        (*places(found, one.data, one.original), one.target, one.label(name)): _where(one, name)
        for one in comparisons(found)
        for name in one.names
    }
    columns = [
        seeds_column(found),
        Column(Heading("Defence sits in"), lambda row: where[row.names]),
        measured(of.SHIPPED_KILOBYTES, "Shipped (kB)"),
        measured(of.ANSWER_TIME, "network", _TIME),
        measured(of.DEFENCE_TIME, "defence adds", _TIME),
        measured(of.RELATIVE_TIME, "Defence adds (%)"),
        measured(of.SLOWDOWN),
        measured(of.L1, "it causes", "l1"),
        measured(of.NOISE, "another seed", "l1"),
    ]
    caption = (
        "What each victim's defence costs its users, measured. Shipped: all that has to be there for an answer; an "
        "auxiliary network would add its size. Times are medians over single answers on the build's runtime, in the "
        "process that asks; the original, which is not deployed, is not timed. Whole answer over plain QAT's: the "
        "median ratio to the plain build's answers in the same moments. l1 (0 to 2) and labels changed "
        "are against the plain QAT build's answers; another seed: between two plain QAT models of different training "
        f"seeds. Calibration error: expected, 15 bins. {tested_words(found)}."
    )
    title = "What the defences cost" + (" (the paper's table I, measured)" if found.study.paper == "divqat" else "")
    names, rows = ("Data", "Network", "Target", "Victim"), list(_cost_rows(found))
    return table("cost", title, caption, found, names, columns, rows, place="theft")


def _cost_rows(found: Facts) -> Iterator[Row]:
    """Make a row for each victim; another seed's distance is that of its comparison."""
    for one in comparisons(found):
        noise, by_victim = one.facts.of(of.NOISE), one.facts.by("victim")
        for name in one.names:
            seeds = one.seeds(name)
            own = [fact for fact in by_victim[name] if fact.reading is not of.NOISE]
            facts = Facts(found.result, [*own, *noise.where(seed=frozenset(seeds))])
            names = (*places(found, one.data, one.original), one.target, one.label(name))
            yield Row(names, facts, len(seeds))


def _where(one: Comparison, name: str) -> str | None:
    parts = (["training"] if one.trained(name) else []) + (["answers"] if one.defended(name) else [])
    return " and ".join(parts) or None


@study_table(120)
def searches(found: Facts) -> StudyTable:
    """Make the table of how the strengths of the training were chosen."""
    columns = [
        Column(Heading("chosen", "Strength"), lambda row: _alone(row, of.CHOSEN, kind="strength") or "none"),
        Column(Heading("tried", "Strength"), _tried),
        Column(Heading("refused", "Strength"), lambda row: _strength(_weakest_beyond(row))),
        Column(Heading("Refused for"), lambda row: why[row.names]),
        Column(Heading("of the chosen", "l1"), lambda row: _number(_chosen(row, of.TRIAL_L1), decimals=3)),
        Column(Heading("of the refused", "l1"), lambda row: _number(_refused(row, of.TRIAL_L1), decimals=3)),
        Column(Heading("allowed", "l1"), lambda row: _alone(row, of.ALLOWED_L1, decimals=3)),
        Column(Heading("another seed", "l1"), lambda row: _alone(row, of.FLOOR, decimals=3)),
        Column(Heading("by the chosen", "Accuracy lost (points)"), lambda row: _lost(row, _chosen)),
        Column(Heading("by the refused", "Accuracy lost (points)"), lambda row: _lost(row, _refused)),
        Column(Heading("allowed", "Accuracy lost (points)"), lambda row: _alone(row, of.ALLOWED_DROP, 100)),
        Column(Heading("Beyond another seed"), lambda row: "yes" if row.facts.of(of.BEYOND_NOISE)[0].value else "no"),
    ]
    made = [
        (one, Row((*places(found, one.data, one.original), one.target, title, str(seed)), own, 1))
        for one in comparisons(found)
        for name, searched in one.facts.of(*_OF_SEARCHES).by("victim").items()
        for seed, own in searched.by("seed").items()
        for title in [one.seed_label(name, int(seed))]
    ]
    why = {row.names: _why(row, one) for one, row in made}
    return table(
        "searches",
        "How the strengths of the training were chosen",
        "On the validation images, for each seed: the strongest of those tried that kept within the allowance, and "
        "the weakest above it, which was refused: the strength sought lies between the two. It is refused for its l1 "
        "or for its accuracy; one that has collapsed is not clearly better than guessing. l1: "
        "mean distance of the answers to the plain QAT model's; another seed: between two plain QAT models of "
        "different training seeds. A strength that is not beyond it does no more than another seed would.",
        found,
        ("Data", "Network", "Target", "Victim", "Seed"),
        columns,
        [row for _, row in made],
        place="theft",
        detail=True,
        intervals="",
    )


def _tried(row: Row) -> str:
    strengths = sorted(fact.over for fact in row.facts.of(of.TRIAL_L1, of.DIVERGED))
    return ", ".join(map(figure, strengths))


def _number(fact: Fact | None, scale: float = 1.0, **options: Any) -> Number | None:
    return None if fact is None else Number(scale * fact.value, **options)


def _alone(row: Row, reading: Reading[Any], scale: float = 1.0, **options: Any) -> Number | None:
    return _number(next(iter(row.facts.of(reading)), None), scale, **options)


def _chosen(row: Row, reading: Reading[Any]) -> Fact | None:
    """Find the figure of the strength that was chosen."""
    strengths = {fact.value for fact in row.facts.of(of.CHOSEN)}
    return next((fact for fact in row.facts.of(reading) if fact.at in strengths), None)


def _refused(row: Row, reading: Reading[Any]) -> Fact | None:
    """Find the figure of the weakest strength that was tried above the chosen one; None if that diverged."""
    strength = _weakest_beyond(row)
    return next((fact for fact in row.facts.of(reading) if fact.over == strength), None)


def _weakest_beyond(row: Row) -> float | None:
    chosen = min((fact.value for fact in row.facts.of(of.CHOSEN)), default=-math.inf)
    return min((fact.over for fact in row.facts.of(of.TRIAL_L1, of.DIVERGED) if fact.over > chosen), default=None)


def _strength(value: float | None) -> Number | None:
    return None if value is None else Number(value, kind="strength")


def _why(row: Row, one: Comparison) -> str | None:
    """Say why the weakest strength above the chosen one was refused; None without such a strength."""
    strength, accuracy, l1 = _weakest_beyond(row), _refused(row, of.TRIAL_ACCURACY), _refused(row, of.TRIAL_L1)
    if strength is None:
        return None
    if accuracy is None or l1 is None:
        return "its training diverged"
    if one.guesses(accuracy.value):
        return "collapsed"
    allowed, reference, drops = map(row.facts.of, (of.ALLOWED_L1, of.REFERENCE, of.ALLOWED_DROP))
    exceeded = {
        "l1": l1.value > allowed[0].value,
        # Shares of images: a difference of two floats may miss a bound that is met exactly.
        "accuracy": any(reference[0].value - accuracy.value > drop.value + _ROUNDING for drop in drops),
    }
    return " and ".join(name for name, is_exceeded in exceeded.items() if is_exceeded) or None


def _lost(row: Row, side: Callable[[Row, Reading[Any]], Fact | None]) -> Cell:
    after = side(row, of.TRIAL_ACCURACY)
    return after and Number(100 * (row.facts.of(of.REFERENCE)[0].value - after.value), kind="points")


@study_table(130)
def students(found: Facts) -> StudyTable:
    """Make the table of the clones of other networks."""
    columns = [seeds_column(found)]
    for labels in of.LABELS:
        group = f"Adversary's error (%), {labels} labels"
        columns += [_clone_error(group, labels), _clone_minus(group, labels)]
    columns += [_clone_disagreement(labels) for labels in of.LABELS]
    caption = (
        f"{target_words(found)}. Error: of the clone; disagreement: clone and victim give different labels. Shares of "
        f"the test images. {tested_words(found)}. {asked_words(found)}; the other networks are trained likewise."
    )
    title = "Clones of other networks" + (" (the paper's figure 3)" if found.study.paper == "divqat" else "")
    names = ("Data", "Network", "Clone", "Victim")
    return table("students", title, caption, found, names, columns, list(_clones(found)), place="theft", detail=True)


def _clones(found: Facts) -> Iterator[Row]:
    """Make a row for each network's clone of each victim besides that of the attack's own network."""
    for one in comparisons(found):
        stolen = one.facts.of(of.STUDENT_ERROR).distinct("victim")
        clones = one.facts.of(*of.CLONE.readings, *of.STUDENT.readings).by("student", "victim")
        networks = dict.fromkeys([*one.facts.of(of.CLONE_ERROR).distinct("student"), *(name for name, _ in clones)])
        for student in networks if stolen else ():
            for victim in (name for name in one.names if name in stolen):
                own = clones.get((student, victim), Facts(found.result, ()))
                base = None if victim == PLAIN else clones.get((student, PLAIN), Facts(found.result, ()))
                names = (*places(found, one.data, one.original), student, one.label(victim))
                yield Row(names, own, len(own.distinct("seed")), base)


def _clone_error(group: str, labels: str) -> Column:
    def cell(row: Row) -> Cell:
        own = row.facts.of(of.CLONE_ERROR, of.STUDENT_ERROR, labels=labels)
        return share(own, len(own))

    return Column(Heading("clone", group), cell)


def _clone_minus(group: str, labels: str) -> Column:
    def cell(row: Row) -> Cell:
        own, base = (
            None if one is None else one.of(of.CLONE_ERROR, of.STUDENT_ERROR, labels=labels)
            for one in (row.facts, row.base)
        )
        return None if own is None or base is None else points(own, base, len(own))

    return Column(Heading("minus QAT (points)", group), cell)


def _clone_disagreement(labels: str) -> Column:
    def cell(row: Row) -> Cell:
        own = row.facts.of(of.CLONE_DISAGREEMENT, of.STUDENT_DISAGREEMENT, labels=labels)
        return share(own, len(own))

    return Column(Heading(labels, _DISAGREEMENT), cell)


@study_table(140)
def alphas(found: Facts) -> StudyTable:
    """Make the table of DivQAT over alpha."""
    thieves = other_thieves(found.of(of.ALPHA_THEFT_ERROR))
    columns = [
        seeds_column(found),
        measured(of.ALPHA_L1, "l1"),
        measured(of.ALPHA_KL),
        measured(of.ALPHA_DEFENDER),
        measured(of.ALPHA_ERROR, "soft labels", "Adversary's error (%)"),
        *(_thief_column(thief) for thief in thieves),
        measured(of.ALPHA_DISAGREEMENT),
    ]
    caption = (
        f"{target_words(found)}. DivQAT trained with each alpha, without a search, and stolen with soft labels. "
        "l1: mean distance of its answers to the plain QAT build's; KL: divergence of its answers from the original's. "
        f"Shares of the test images. {tested_words(found)}. {asked_words(found)}."
    )
    title = "DivQAT over alpha" + (" (the paper's figures 4 to 6)" if found.study.paper == "divqat" else "")
    names, rows = ("Data", "Network", "Alpha"), list(_alpha_rows(found))
    return table("alphas", title, caption, found, names, columns, rows, place="theft", detail=True)


def _alpha_rows(found: Facts) -> Iterator[Row]:
    """Make a row for each alpha; its seeds are those that were trained, the diverged ones too."""
    for one in comparisons(found):
        own = one.facts.of(*(reading for part in _AT_ALPHAS for reading in part.readings))
        for alpha, at in sorted(own.by("at").items()):
            diverged = len(at.of(of.ALPHA_DIVERGED))
            seeds = len(at.of(of.ALPHA_L1)) + diverged
            label = one.marked(figure(alpha), "divqat", alpha)
            label += f" ({of_seeds_words('diverged', diverged, seeds)})" if diverged else ""
            yield Row((*places(found, one.data, one.original), label), at, seeds)


def _thief_column(thief: Thief) -> Column:
    return measured(
        of.ALPHA_THEFT_ERROR, thief_title(thief), "Adversary's error (%)", student=thief.student, labels=thief.labels
    )
