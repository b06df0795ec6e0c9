"""Models that do no better than guessing are marked wherever a table, a figure or a terminal shows them."""

from collections.abc import Callable, Sequence
from io import StringIO

import pytest
from made_study import SEEDS, TEST, made_diva, made_divqat
from rich.console import Console

from edgerift.facts import facts
from edgerift.harden import Hardening
from edgerift.measure import Rate, interval
from edgerift.report import study_tables, study_text
from edgerift.report.figures import _alpha, _groups, _tradeoff
from edgerift.report.figures._alpha_words import alpha_words
from edgerift.report.tables._table import cell_words
from edgerift.study import StudyResult

DEAD_ACCURACY = interval(Rate(TEST // 50, TEST))
DEAD = interval(Rate(TEST - TEST // 50, TEST))


def changed(seeds: Sequence[int], change: Callable[[Hardening], Hardening], target: str = "mobile") -> StudyResult:
    made = made_divqat(data=("gtsrb",), targets=("mobile", "server"), missing=False)
    thefts = [
        cell.replace(hardening=change(cell.hardening)) if cell.seed in seeds and cell.target == target else cell
        for cell in made.thefts
    ]
    return made.replace(thefts=tuple(thefts))


def dead_victim(name: str) -> Callable[[Hardening], Hardening]:
    return lambda found: found.replace(victim={**found.victim, name: found.victim[name].replace(defender_error=DEAD)})


def victims_of(result: StudyResult, table: str) -> set[str]:
    (found,) = [one for one in study_tables(facts(result)) if one.name == table]
    cells = {cell for row in found.rows for cell in row[: found.names] if isinstance(cell, str)}
    return {cell for cell in cells if cell.startswith(("DivQAT +", "DivQAT (")) or cell == "DivQAT"}


@pytest.mark.parametrize(
    ("seeds", "title"), [((), "DivQAT"), ((1,), "DivQAT (1 of 3 seeds collapsed)"), (SEEDS, "DivQAT (collapsed)")]
)
@pytest.mark.parametrize("table", ["victims", "students", "answers", "cost", "targets"])
def test_tables_name_a_collapsed_victim(seeds: Sequence[int], title: str, table: str) -> None:
    joint = {"DivQAT + Reverse Sigmoid", "DivQAT + Deception"}
    of_server = {"DivQAT"} if table in {"answers", "cost", "targets"} else set()
    assert victims_of(changed(seeds, dead_victim("divqat")), table) - joint == {title} | of_server


@pytest.mark.parametrize("seeds", [(), (1,), (0, 2)])
def test_searches_are_marked_seed_by_seed(seeds: Sequence[int]) -> None:
    result = changed(seeds, dead_victim("divqat"))
    (table,) = [one for one in study_tables(facts(result)) if one.name == "searches"]
    own = {row[3]: row[2] for row in table.rows if row[1] == "mobile" and row[2] in ("DivQAT", "DivQAT (collapsed)")}
    assert own == {str(seed): "DivQAT (collapsed)" if seed in seeds else "DivQAT" for seed in SEEDS}


@pytest.mark.parametrize(("most_common", "title"), [(None, "DivQAT"), (0.1, "DivQAT"), (0.3, "DivQAT (collapsed)")])
def test_who_always_answers_the_commonest_class_has_collapsed(most_common: float | None, title: str) -> None:
    """Of ten classes one has three tenths of the images: an error of 70 % is that of guessing."""

    def change(found: Hardening) -> Hardening:
        part = found.victim["divqat"].replace(defender_error=interval(Rate(700, 1000)))
        return found.replace(data=found.data.replace(most_common=most_common), victim={**found.victim, "divqat": part})

    found = victims_of(changed(SEEDS, change), "students")
    assert found == {title}


def test_a_collapsed_joint_defence_is_marked_alone() -> None:
    found = victims_of(changed(SEEDS, dead_victim("divqat+rs")), "joint-defences")
    assert found == {"DivQAT + Reverse Sigmoid (collapsed)", "DivQAT + Deception"}


def test_a_range_of_alpha_marks_its_dead_end() -> None:
    def change(found: Hardening) -> Hardening:
        points = [one.replace(defender_error=DEAD) if one.alpha >= 1 else one for one in found.alphas]
        return found.replace(alphas=tuple(points))

    result = changed((0, 2), change)
    (table,) = [one for one in study_tables(facts(result)) if one.name == "alphas"]
    marked = [row[1] for row in table.rows]
    assert marked == ["0.1", "0.3", "1 (2 of 3 seeds collapsed)", "2 (2 of 3 seeds collapsed)"]
    assert "alpha 2, 2 of 3 seeds collapsed: defender's error" in alpha_words(facts(result))
    assert "alpha 0.3: defender's error" in alpha_words(facts(result))


@pytest.mark.parametrize(
    ("seeds", "label"), [((1,), "2 (1 of 3 seeds diverged)"), (SEEDS, "2 (diverged)")], ids=["one seed", "all"]
)
def test_a_range_of_alpha_says_where_a_training_diverged(seeds: Sequence[int], label: str) -> None:
    def change(found: Hardening) -> Hardening:
        return found.replace(alphas=tuple(one for one in found.alphas if one.alpha < 2), diverged=(2.0,))

    result = changed(seeds, change)
    (table,) = [one for one in study_tables(facts(result)) if one.name == "alphas"]
    assert [row[1] for row in table.rows] == ["0.1", "0.3", "1", label]
    (l1,) = [number for number, heading in enumerate(table.headings) if heading.line == "l1"]
    assert cell_words(table.rows[-1][l1]).endswith("(2 of 3 seeds)" if len(seeds) == 1 else "–")
    assert f"alpha {label.replace(' (', ': ').rstrip(')')}" in alpha_words(facts(result))


@pytest.mark.parametrize(
    ("diverged", "refused", "why", "l1"),
    [((), "4", "collapsed", "1.790"), ((2.0,), "2", "its training diverged", "–"), ((9.0,), "4", "collapsed", "1.790")],
)
def test_searches_say_why_a_strength_was_refused(diverged: tuple[float, ...], refused: str, why: str, l1: str) -> None:
    def change(found: Hardening) -> Hardening:
        search = found.searches["divqat"].replace(chosen=1.125, diverged=diverged)
        return found.replace(searches={"divqat": search})

    result = changed(SEEDS, change)
    (table,) = [one for one in study_tables(facts(result)) if one.name == "searches"]
    cells = dict(zip([one.line for one in table.headings], map(cell_words, table.rows[0]), strict=True))
    assert (cells["Strength: refused"], cells["Refused for"], cells["l1: of the refused"]) == (refused, why, l1)
    tried = sorted((0, 1, 1.125, 4, *diverged))
    assert cells["Strength: tried"] == ", ".join(f"{strength:g}" for strength in tried)
    if diverged:
        assert f"alpha {diverged[0]:g} diverged; chosen: alpha 1.125" in alpha_words(facts(result))


@pytest.mark.parametrize(
    ("accuracy", "l1", "drop", "why"),
    [
        (0.95, 0.7, 0.05, "l1"),
        (0.9, 0.5, 0.05, "accuracy"),
        (0.9, 0.7, 0.05, "l1 and accuracy"),
        (0.5, 0.7, None, "l1"),
    ],
)
def test_a_strength_is_refused_for_what_exceeds_the_allowance(
    accuracy: float, l1: float, drop: float | None, why: str
) -> None:
    def change(found: Hardening) -> Hardening:
        search = found.searches["divqat"]
        trials = [one.replace(accuracy=accuracy, l1=l1) if one.strength == 4 else one for one in search.trials]
        allowance = search.allowance.replace(accuracy_drop=drop)
        changes = {"chosen": 1.125, "trials": tuple(trials), "allowance": allowance, "reference_accuracy": 0.98}
        return found.replace(searches={"divqat": search.replace(**changes)})

    result = changed(SEEDS, change)
    (table,) = [one for one in study_tables(facts(result)) if one.name == "searches"]
    place = [one.line for one in table.headings].index("Refused for")
    assert table.rows[0][place] == why


def test_figures_mark_them_and_say_so_in_words() -> None:
    result = changed((0,), dead_victim("divqat"))
    found = facts(result)
    for draw, words in ((_groups.draw_clones, _groups.clones_words), (_groups.draw_targets, _groups.targets_words)):
        texts = [text.get_text() for axes in draw(found).axes for text in axes.texts]
        assert "1 of 3 seeds collapsed" in texts
        assert "DivQAT (1 of 3 seeds collapsed) with soft labels" in words(found)
        assert "QAT with soft labels" in words(found)
    assert "server: QAT" in _groups.targets_words(found)
    names = [text.get_text() for axes in _tradeoff.draw_tradeoff(found).axes for text in axes.texts]
    assert names.count("divqat (1 of 3 seeds collapsed)") == 2
    assert "DivQAT (1 of 3 seeds collapsed): l1" in _tradeoff.tradeoff_words(found)


def test_figures_of_healthy_models_mark_none() -> None:
    found = facts(changed((), dead_victim("divqat")))
    drawings = (_groups.draw_clones, _groups.draw_targets, _tradeoff.draw_tradeoff, _alpha.draw_alpha)
    texts = [text.get_text() for draw in drawings for axes in draw(found).axes for text in axes.texts]
    assert not any("collapsed" in text for text in texts)
    assert "collapsed" not in _groups.clones_words(found) + _tradeoff.tradeoff_words(found)


@pytest.mark.parametrize("words", [(), (1,), (0, 1, 2)])
def test_pairs_and_attackers_without_images_are_marked_too(words: Sequence[int]) -> None:
    mark = {0: "", 1: " (1 of 3 seeds collapsed)", 3: " (collapsed)"}[len(words)]
    made = made_diva(missing=False)
    pairs = [
        cell.replace(report=cell.report.replace(build_accuracy=DEAD_ACCURACY))
        if cell.seed in words and (cell.data, cell.original, cell.adaptation) == ("mnist", "ResNet", "qat")
        else cell
        for cell in made.pairs
    ]
    result = made.replace(pairs=tuple(pairs))
    (table,) = [one for one in study_tables(facts(result)) if one.name == "success"]
    titles = {row[:3] for row in table.rows}
    assert ("mnist", "ResNet", f"QAT{mark}") in titles
    assert ("mnist", "ResNet", "PTQ") in titles
    stream = StringIO()
    Console(width=200, file=stream).print(study_text(result))
    assert f"QAT{mark}" in stream.getvalue()


def test_a_terminal_marks_them() -> None:
    stream = StringIO()
    Console(width=120, file=stream).print(study_text(changed(SEEDS, dead_victim("divqat"))))
    assert "DivQAT (collapsed)" in stream.getvalue()
