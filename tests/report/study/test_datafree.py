"""Thefts without images in a study's tables, figures, records, page and text: each figure follows from its entries."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_datafree import ATTACKS, BUDGET, EPSILONS, POINTS, made_thefts, with_data_free
from made_study import made_diva, made_divqat
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure as Drawing
from report_page import study_html
from rich.console import Console
from scipy import stats

from edgerift.facts import Theft, claims, data_free_places, facts
from edgerift.harden import DataFreeEntry, best_epsilon, paper_clone_error
from edgerift.report import (
    Cell,
    Number,
    StudyTable,
    figure_of,
    records_csv,
    results_markdown,
    study_charts,
    study_markdown,
    study_tables,
    study_text,
    table_csv,
    table_latex,
)
from edgerift.report.figures import _epsilon as epsilon
from edgerift.report.figures import _queries as questions
from edgerift.report.shared._markdown import escaped
from edgerift.report.shared._words import percent
from edgerift.report.study._claims import claim_notes, claim_rows, claims_words
from edgerift.report.study._words import cell_count, setting_rows
from edgerift.report.tables._table import cell_words
from edgerift.study import StudyResult

DFME, MAZE = "Adversary's error (%), DFME", "Adversary's error (%), MAZE"
LOOKS = {"large": "#8a8f98", "qat": "#191b1e", "divqat": "#0072b2"}


def plain(**options: object) -> StudyResult:
    given = {
        "data": ("cifar10", "gtsrb"), "seeds": (0, 1, 2), "targets": ("server",), "missing": False,
        "rows": ("large", "ptq", "qat", "divqat"), "students": False, "alphas": False, **options,
    }  # fmt: skip
    return made_divqat(**given)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return with_data_free(plain(), data=("cifar10",))


def tables(result: StudyResult) -> dict[str, StudyTable]:
    return {table.name: table for table in study_tables(facts(result))}


def row(table: StudyTable, *names: str | None) -> dict[str, Cell]:
    """Find the row that begins so."""
    found = [one for one in table.rows if one[: len(names)] == names]
    assert len(found) == 1, (names, len(found))
    return {heading.line: cell for heading, cell in zip(table.headings, found[0], strict=True)}


def stolen(result: StudyResult, *theft: object, data: str = "cifar10") -> list[DataFreeEntry]:
    """Give a theft of every seed: victim, attack, epsilon and control."""
    found = [cell.comparison.find(*theft) for cell in result.data_free if cell.data == data]  # type: ignore[arg-type]
    return [one for one in found if one is not None]


def errors(entries: Sequence[DataFreeEntry]) -> list[float]:
    return [100 * one.theft.adversary_error.value for one in entries]


def close(cell: Cell, values: Sequence[float], low: float = -np.inf, high: float = np.inf) -> None:
    """Compare with the mean and Student's interval, by scipy."""
    assert isinstance(cell, Number)
    ends = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (cell.value, cell.low, cell.high) == pytest.approx((np.mean(values), max(low, ends[0]), min(high, ends[1])))


# The table of the victims


@pytest.mark.parametrize(("victim", "title"), [("qat", "QAT"), ("divqat", "DivQAT")])
@pytest.mark.parametrize(("group", "attack"), [(DFME, "dfme"), (MAZE, "maze-dfme")])
def test_victims_have_columns_of_the_papers_attacks(
    result: StudyResult, group: str, attack: str, victim: str, title: str
) -> None:
    found = row(tables(result)["victims"], "cifar10", title)
    own, base = errors(stolen(result, victim, attack, 1e-3)), errors(stolen(result, "qat", attack, 1e-3))
    close(found[f"{group}: ours"], own, 0, 100)
    printed = paper_clone_error("cifar10", victim, attack)
    assert printed is not None
    assert found[f"{group}: paper"] == Number(round(100 * printed, 2), decimals=2)
    minus = found[f"{group}: minus QAT (points)"]
    if victim == "qat":
        assert minus is None
    else:
        close(minus, [one - other for one, other in zip(own, base, strict=True)])


def test_victims_that_nobody_stole_without_images_have_no_such_figures(result: StudyResult) -> None:
    table = tables(result)["victims"]
    for names in (("cifar10", "PTQ"), ("gtsrb", "DivQAT")):
        found = row(table, *names)
        assert [cell for heading, cell in found.items() if heading.startswith((DFME, MAZE))] == [None] * 6
    caption = table.caption
    assert "DFME and MAZE: data-free attackers, at the published epsilon; resnet8 clones, budgets of" in caption
    assert f"{BUDGET:,} queries. The paper's MAZE is what the code of DFME runs under that name." in caption


def test_a_column_is_there_where_its_attack_was_tried_as_published() -> None:
    for attacks, groups in ((("dfme",), {DFME}), (("maze", "disguide"), set()), (("maze-dfme",), {MAZE})):
        table = tables(with_data_free(plain(), attacks=attacks))["victims"]
        assert {heading.group for heading in table.headings} & {DFME, MAZE} == groups
        assert ("data-free attackers" in table.caption) is bool(groups)
    moved = with_data_free(plain(), attacks=("dfme",))
    cells = tuple(
        cell.replace(
            comparison=cell.comparison.replace(
                entries=tuple(one for one in cell.comparison.entries if one.epsilon != 1e-3 or one.control)
            )
        )
        for cell in moved.data_free
    )
    assert DFME not in {heading.group for heading in tables(moved.replace(data_free=cells))["victims"].headings}


def test_a_study_of_ones_own_has_no_figures_of_the_paper() -> None:
    own = with_data_free(plain(paper=None))
    headings = [heading.line for heading in tables(own)["victims"].headings]
    assert f"{DFME}: ours" in headings
    assert f"{DFME}: paper" not in headings


def test_figures_over_fewer_seeds_say_so() -> None:
    found = row(tables(with_data_free(plain(), seeds=(1,)))["victims"], "gtsrb", "DivQAT")
    assert found["Seeds"] == "3"
    cell = found[f"{DFME}: ours"]
    assert isinstance(cell, Number)
    assert cell.note == "1 of 3 seeds"
    # A seed without a comparison has no place in the comparison's row.
    missing = with_data_free(plain(missing=True))
    own = row(tables(missing)["victims"], "cifar10", "DivQAT")[f"{DFME}: ours"]
    close(own, errors(stolen(missing, "divqat", "dfme", 1e-3))[:2], 0, 100)


# The table of the thefts


def test_every_theft_has_its_row(result: StudyResult) -> None:
    table = tables(result)["data-free"]
    assert [one[:4] for one in table.rows[:10]] == [
        ("cifar10", "DFME", "Large (the original, float)", "0.001"),
        ("cifar10", "DFME", "Large (the original, float)", "0.001, whole pixels"),
        *(("cifar10", "DFME", "QAT", each) for each in ("0.001", "0.01", "0.1", "1", "5", "0.001, simulated")),
        ("cifar10", "DFME", "DivQAT", "0.001"),
        ("cifar10", "DFME", "DivQAT", "0.01"),
    ]
    assert len(table.rows) == len(made_thefts().entries) == len({one[:4] for one in table.rows})
    assert list(dict.fromkeys(one[1] for one in table.rows)) == [
        "DFME", "MAZE, DFME's code", "DisGUIDE", "DisGUIDE, labels alone",
    ]  # fmt: skip
    assert table.names == 4
    assert table.detail


@pytest.mark.parametrize(
    ("theft", "names"),
    [
        (("divqat", "dfme", 1.0), ("DFME", "DivQAT", "1")),
        (("divqat", "dfme", 1e-3, "simulated"), ("DFME", "DivQAT", "0.001, simulated")),
        (("qat", "maze-dfme", 0.1), ("MAZE, DFME's code", "QAT", "0.1")),
        (("divqat", "disguide-hard", None), ("DisGUIDE, labels alone", "DivQAT", None)),
    ],
)
def test_a_row_has_the_figures_of_its_theft(
    result: StudyResult, theft: tuple[object, ...], names: tuple[str | None, ...]
) -> None:
    found = row(tables(result)["data-free"], "cifar10", *names)
    entries = stolen(result, *theft)
    assert len(entries) == 3
    assert found["Seeds"] == "3"
    assert cell_words(found["Questions"]) == f"{BUDGET - 123:,}"
    close(found["Adversary's error (%): clone"], errors(entries), 0, 100)
    close(found["Disagreement (%)"], [100 * one.theft.disagreement.value for one in entries], 0, 100)
    close(found["Defender's error (%)"], [100 * one.theft.defender_error.value for one in entries], 0, 100)
    base = errors(stolen(result, "qat", *theft[1:]))
    minus = found["Adversary's error (%): minus QAT (points)"]
    if theft[0] == "qat":
        assert minus is None
    else:
        close(minus, [one - other for one, other in zip(errors(entries), base, strict=True)])
    if theft[2] is None:
        assert [found[f"Finite differences: {name}"] for name in ("zero (%)", "correlation", "blind")] == [None] * 3
        return
    slopes = [one.masking.correlation for one in entries if one.masking is not None]
    close(found["Finite differences: correlation"], [slope for slope in slopes if slope is not None], -1, 1)
    zero = found["Finite differences: zero (%)"]
    assert isinstance(zero, Number)
    assert zero.value == pytest.approx(np.mean([100 * (one.zero_share or 0.0) for one in entries]))
    assert found["Finite differences: blind"] == "no"


def test_a_blind_attack_is_called_so(result: StudyResult) -> None:
    table = tables(result)["data-free"]
    assert row(table, "cifar10", "DFME", "QAT", "0.001")["Finite differences: blind"] == "yes"
    hidden = row(table, "cifar10", "DFME", "DivQAT", "0.001")
    # No difference was other than zero, so there is nothing to correlate.
    assert (hidden["Finite differences: correlation"], hidden["Finite differences: blind"]) == ("none", "yes")
    assert "An attack is blind where the correlation's 95 % interval reaches below 0.1" in table.caption
    assert table.caption.endswith("All other settings are the publications'.")
    changed = [result.data_free[0].comparison.find("qat", "dfme", 1.0), *stolen(result, "qat", "dfme", 1e-3)[1:]]
    assert changed[0] is not None
    entries = tuple(
        changed[0].replace(epsilon=1e-3) if one == stolen(result, "qat", "dfme", 1e-3)[0] else one
        for one in result.data_free[0].comparison.entries
    )
    first = result.data_free[0].replace(comparison=result.data_free[0].comparison.replace(entries=entries))
    mixed = result.replace(data_free=(first, *result.data_free[1:]))
    found = row(tables(mixed)["data-free"], "cifar10", "DFME", "QAT", "0.001")
    assert found["Finite differences: blind"] == "2 of 3"


def test_thefts_are_shown_without_a_comparison() -> None:
    made = with_data_free(plain())
    alone = made.replace(thefts=())
    assert list(tables(alone)) == ["data-free"]
    assert tables(alone)["data-free"].rows[0][2] == "large"
    page = study_html(alone, Path("nowhere"), {})
    assert 'id="data-free"' in page
    assert "guess" not in "".join(epsilon.epsilon_words(facts(alone)))
    assert [line for line in keys(epsilon.draw_epsilon(facts(alone))) if line == "chance"] == []


def test_networks_are_named_where_there_are_several() -> None:
    several = with_data_free(plain(originals=("ResNet", "MobileNet")))
    table = tables(several)["data-free"]
    assert table.headings[1].name == "Network"
    assert {one[1] for one in table.rows} == {"ResNet", "MobileNet"}


def test_a_long_table_is_cut_into_tables_that_fit_on_a_page(result: StudyResult) -> None:
    text = table_latex(tables(result)["data-free"])
    captions = [line for line in text.splitlines() if line.startswith(r"\caption{")]
    assert len(captions) == text.count(r"\begin{table*}") >= 2
    assert all(one.startswith(r"\caption{Data-{}free extraction (part ") for one in captions)
    assert max(part.count("\n") for part in text.split(r"\begin{table*}")) < 60
    assert table_csv(tables(result)["data-free"]).count("\r\n") == 35


# Records


def read(result: StudyResult) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(records_csv(facts(result)), newline="")))


def find(rows: Sequence[dict[str, str]], **fields: str) -> list[dict[str, str]]:
    return [one for one in rows if all(one[name] == value for name, value in fields.items())]


def test_records_have_every_theft_of_every_seed(result: StudyResult) -> None:
    rows = read(result)
    for cell in result.data_free:
        for entry in cell.comparison.entries:
            name = ", ".join(
                [
                    entry.attack,
                    *([] if entry.epsilon is None else [f"epsilon {entry.epsilon:g}"]),
                    *([] if entry.control is None else [entry.control]),
                ]
            )
            place = {"data": cell.data, "seed": str(cell.seed), "victim": entry.victim, "attack": name}
            (error,) = find(rows, **place, metric="adversary's error")
            part = entry.theft.adversary_error
            assert [float(error[each]) for each in ("value", "low", "high", "count")] == [
                part.value, part.low, part.high, part.trials,
            ]  # fmt: skip
            assert (error["student"], error["target"]) == ("resnet8", "server")
            assert error["labels"] == ("hard" if entry.attack == "disguide-hard" else "soft")
            published = entry.attack in ("dfme", "maze-dfme") and entry.epsilon == 1e-3 and entry.control is None
            assert error["paper"] == ("table III" if published else "")
            curve = find(rows, **place, metric="curve: adversary's error")
            assert [(int(one["at"]), float(one["value"])) for one in curve] == [
                (point.queries, point.measured.error) for point in entry.theft.curve if point.measured is not None
            ]
            slopes = find(rows, **place, metric="correlation of differences and slopes")
            known = entry.masking is not None and entry.masking.correlation is not None
            assert [float(one["value"]) for one in slopes] == ([entry.masking.correlation] if known else [])  # type: ignore[union-attr]


def test_published_figures_are_recorded_once(result: StudyResult) -> None:
    found = [one for one in find(read(result), source="published") if one["attack"]]
    assert [(one["victim"], one["attack"], one["value"]) for one in found] == [
        ("large", "dfme", "0.4282"), ("qat", "dfme", "0.4874"), ("divqat", "dfme", "0.694"),
        ("large", "maze-dfme", "0.677"), ("qat", "maze-dfme", "0.8297"), ("divqat", "maze-dfme", "0.9"),
    ]  # fmt: skip
    own = with_data_free(plain(paper=None))
    assert not [one for one in read(own) if one["source"] == "published" or one["paper"]]


# Figures


def keys(drawing: Drawing) -> list[str]:
    return [text.get_text() for text in drawing.legends[0].get_texts()]


def marks(axes: Axes) -> set[tuple[float, float, bool, str]]:
    """Give x, y, whether it is hollow and the colour of every mark with whiskers."""
    found = set()
    for container in axes.containers:
        line = container[0]
        (x,), (y,) = line.get_data()
        hollow = to_hex(line.get_markerfacecolor()) == "#ffffff"
        found.add((round(float(x), 6), round(float(y), 6), hollow, to_hex(line.get_color())))
    return found


def beside(at: float, victim: str) -> float:
    """Where a victim's marks of an epsilon stand."""
    return float(at * 1.09 ** (list(LOOKS).index(victim) - 1))


def test_errors_over_epsilon(result: StudyResult) -> None:
    axes = [one for one in epsilon.draw_epsilon(facts(result)).axes if one.get_visible()]
    assert [one.get_title(loc="left") for one in axes] == [
        "cifar10: DFME", "cifar10: DFME, its differences",
        "cifar10: MAZE, DFME's code", "cifar10: MAZE, DFME's code, its differences",
    ]  # fmt: skip
    for one, attack in ((axes[0], "dfme"), (axes[2], "maze-dfme")):
        expected = set()
        (cell,) = (cell for cell in result.data_free if (cell.attack, cell.seed) == (attack, 0))
        for entry in cell.comparison.entries:
            mean = float(np.mean(errors(stolen(result, entry.victim, attack, entry.epsilon, entry.control))))
            assert entry.epsilon is not None
            at = round(beside(entry.epsilon, entry.victim), 6)
            expected.add((at, round(mean, 6), entry.control is not None, LOOKS[entry.victim]))
        assert marks(one) == expected
        assert one.get_xscale() == "log"
        assert list(one.get_xticks()) == [1e-3, *EPSILONS]


def test_a_line_joins_what_is_no_control(result: StudyResult) -> None:
    axes = epsilon.draw_epsilon(facts(result)).axes[0]
    lines = [line for line in axes.lines if line.get_linewidth() == 1.4 and len(line.get_xdata()) > 1]
    assert {to_hex(line.get_color()) for line in lines} == {LOOKS["qat"], LOOKS["divqat"]}
    for line in lines:
        victim = next(name for name, colour in LOOKS.items() if colour == to_hex(line.get_color()))
        assert list(line.get_xdata()) == pytest.approx([beside(at, victim) for at in (1e-3, *EPSILONS)])
        means = [np.mean(errors(stolen(result, victim, "dfme", at))) for at in (1e-3, *EPSILONS)]
        assert list(line.get_ydata()) == pytest.approx(means)


def test_attacks_without_differences_and_guessing_are_lines_across(result: StudyResult) -> None:
    drawing = epsilon.draw_epsilon(facts(result))
    for axes in drawing.axes[:3:2]:
        across = {
            (to_hex(line.get_color()), round(float(line.get_ydata()[0]), 6))
            for line in axes.lines
            if list(line.get_xdata()) == [0, 1]
        }
        means = {
            (LOOKS[victim], round(float(np.mean(errors(stolen(result, victim, attack)))), 6))
            for victim in LOOKS
            for attack in ("disguide", "disguide-hard")
        }
        assert across == means | {("#595d64", 90.0)}
        assert axes.get_ylim()[1] > 90
    assert {"DisGUIDE", "DisGUIDE, labels alone", "chance", "hollow: control"} <= set(keys(drawing))
    bare = with_data_free(plain(), attacks=("dfme",), controls=False)
    assert not {"DisGUIDE", "hollow: control"} & set(keys(epsilon.draw_epsilon(facts(bare))))


def test_what_differences_are_worth(result: StudyResult) -> None:
    axes = epsilon.draw_epsilon(facts(result)).axes[1]
    drawn = {}
    for line in axes.lines:
        if line.get_marker() != "None":
            hollow = to_hex(line.get_markerfacecolor()) == "#ffffff"
            drawn[to_hex(line.get_color()), hollow] = list(zip(line.get_xdata(), line.get_ydata(), strict=True))
    for victim, colour in LOOKS.items():
        tried = (1e-3,) if victim == "large" else (1e-3, *EPSILONS)
        slopes, zeros = [], []
        for at in tried:
            entries = stolen(result, victim, "dfme", at)
            own = [one.masking.correlation for one in entries if one.masking is not None]
            known = [value for value in own if value is not None]
            slopes += [(beside(at, victim), np.mean(known))] if known else []
            zeros.append((beside(at, victim), np.mean([one.zero_share for one in entries])))
        assert np.array(drawn[colour, False]) == pytest.approx(np.array(slopes))
        assert np.array(drawn[colour, True]) == pytest.approx(np.array(zeros))
    # Against DivQAT there is no correlation where all differences were zero.
    assert len(drawn[LOOKS["divqat"], False]) == len(EPSILONS)


@pytest.mark.parametrize("attacks", [("disguide",), ("disguide", "disguide-hard")])
def test_epsilons_are_drawn_of_attacks_that_have_one(attacks: tuple[str, ...]) -> None:
    result = with_data_free(plain(), attacks=attacks)
    assert epsilon.epsilon(facts(result)) is None
    assert questions.questions(facts(result)) is not None
    assert epsilon.epsilon(facts(plain())) is None
    assert questions.questions(facts(plain())) is None


@pytest.mark.parametrize("what", ["error", "agreement"])
def test_errors_and_agreement_over_questions(result: StudyResult, what: questions.What) -> None:
    axes = questions.draw_questions(facts(result), what).axes
    assert [one.get_title(loc="left").replace("\n", " ") for one in axes] == [
        "cifar10: DFME, ε=1", "cifar10: MAZE, DFME's code, ε=1", "cifar10: DisGUIDE", "cifar10: DisGUIDE, labels alone",
    ]  # fmt: skip
    assert best_epsilon([cell.comparison for cell in result.data_free], "dfme") == 1.0
    for one, attack in zip(axes, ATTACKS, strict=True):
        drawn = {
            (to_hex(line.get_color()), line.get_linestyle()): list(line.get_ydata())
            for line in one.lines
            if line.get_linewidth() == 1.6
        }
        expected = {}
        for victim, colour in LOOKS.items():
            differs = attack in ("dfme", "maze-dfme")
            main = 1.0 if differs and victim != "large" else 1e-3 if differs else None
            shown = [(main, "-"), *([(1e-3, "--")] if main == 1.0 else [])]
            for at, style in shown:
                curves = [
                    [
                        100 * (point.measured.error if what == "error" else 1 - point.measured.disagreement)
                        for point in entry.theft.curve
                        if point.measured is not None
                    ]
                    for entry in stolen(result, victim, attack, at)
                ]
                expected[colour, style] = pytest.approx(list(np.mean(curves, axis=0)))
        assert drawn == expected
        thin = [line for line in one.lines if line.get_linewidth() == 0.6]
        assert len(thin) == 3 * len(expected)
        assert list(thin[0].get_xdata()) == [BUDGET * (number + 1) // POINTS for number in range(POINTS)]


def test_a_victim_that_was_tried_at_one_epsilon_alone_is_shown_there(result: StudyResult) -> None:
    changed = tuple(
        cell.replace(
            comparison=cell.comparison.replace(
                entries=tuple(
                    one.replace(epsilon=0.1) if (one.victim, one.attack) == ("large", "dfme") else one
                    for one in cell.comparison.entries
                )
            )
        )
        for cell in result.data_free
    )
    (place,) = data_free_places(facts(result.replace(data_free=changed)))
    assert place.main("dfme", "large") == [Theft("dfme", "large", 0.1)]
    assert place.main("dfme", "qat") == [Theft("dfme", "qat", 1.0), Theft("dfme", "qat", 1e-3)]


def test_the_mean_of_curves_is_where_all_have_a_point(result: StudyResult) -> None:
    cells = [cell for cell in result.data_free if cell.attack == "disguide"]
    (entry,) = [one for one in cells[1].comparison.entries if one.victim == "qat"]
    cut = entry.replace(theft=entry.theft.replace(curve=entry.theft.curve[1:3]))
    second = cells[1].replace(comparison=cells[1].comparison.replace(entries=(cut,)))
    first = cells[0].replace(
        comparison=cells[0].comparison.replace(entries=(cells[0].comparison.find("qat", "disguide"),))
    )
    (axes,) = questions.draw_questions(facts(result.replace(data_free=(first, second)))).axes
    (thick,) = [line for line in axes.lines if line.get_linewidth() == 1.6]
    assert list(thick.get_xdata()) == [point.queries for point in entry.theft.curve[1:3]]


def test_words_have_the_figures(result: StudyResult) -> None:
    said = epsilon.epsilon_words(facts(result))
    entries = stolen(result, "qat", "dfme", 1.0)
    error, zero = np.mean(errors(entries)) / 100, np.mean([one.zero_share for one in entries])
    slope = np.mean([one.masking.correlation for one in entries if one.masking is not None])
    worth = f"({percent(float(zero))} of its differences zero, correlation with the slopes {slope:.2f})"
    assert f"cifar10, qat, dfme, epsilon 1: error {percent(float(error))} {worth}" in said
    assert "cifar10, divqat, dfme, epsilon 0.001, simulated: error" in said
    across = np.mean(errors(stolen(result, "large", "disguide"))) / 100
    assert f"cifar10, large, disguide: error {percent(float(across))};" in said
    told = questions.questions_words(facts(result))
    curve = [one.theft.curve[-1].measured for one in stolen(result, "divqat", "dfme", 1.0)]
    last = percent(float(np.mean([point.error for point in curve if point is not None])))
    assert re.search(rf"cifar10, divqat, dfme, epsilon 1: error .* after 200,000, .* {last} after 1,000,000;", told)
    told = questions.questions_words(facts(result), "agreement")
    last = percent(float(np.mean([1 - point.disagreement for point in curve if point is not None])))
    assert re.search(rf"cifar10, divqat, dfme, epsilon 1: agreement .* {last} after 1,000,000;", told)


def test_figures_are_drawn_named_and_explained(result: StudyResult, tmp_path: Path) -> None:
    told = study_charts(facts(result), lambda name, data: (tmp_path / name).write_bytes(data))
    assert list(told)[-3:] == ["epsilon", "questions", "agreement"]
    assert (tmp_path / "epsilon.png").stat().st_size > 10_000
    caption = figure_of("epsilon", facts(result)).caption
    assert "over 3 seeds (Student's t)" in caption
    assert "one seed" in figure_of("epsilon", facts(with_data_free(plain(), seeds=(0,)))).caption
    assert figure_of("questions", facts(result)).place == "theft"
    page = study_html(result, tmp_path, told)
    shown = [told[name][:60] for name in ("epsilon", "questions", "agreement")]
    places = [page.index(part) for part in ('id="data-free"', *shown, "Its 34 rows", 'id="cost"')]
    assert places == sorted(set(places))


# Text, page, results


def test_the_terminal_shows_the_main_thefts(result: StudyResult) -> None:
    stream = io.StringIO()
    Console(width=80, file=stream).print(study_text(result))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    part = text[text.index("cifar10: data-free extraction, errors in %") :]
    rows = [line.split() for line in part.splitlines() if re.match(r" (DFME|DisGUIDE) +\w", line)]
    assert [line[:3] for line in rows] == [
        ["DFME", "large", "0.001"],
        *(["DFME", victim, at] for victim in ("qat", "divqat") for at in ("0.001", "1")),
        *(["DisGUIDE", victim, "–"] for victim in LOOKS),
    ]
    shown = f"{np.mean(errors(stolen(result, 'divqat', 'dfme', 1.0))):.1f}"
    assert rows[4][3] == shown
    assert "gtsrb: thefts" not in text


def test_cells_and_settings_are_told(result: StudyResult) -> None:
    assert cell_count(result) == (6 + 3 * len(ATTACKS), 6 + 3 * len(ATTACKS))
    assert cell_count(plain()) == (6, 6)
    said = dict(setting_rows(result.study))["Data-free extraction"]
    assert said == (
        "large, qat, divqat, by dfme, maze-dfme, disguide, disguide-hard, 1,000,000 queries for each clone; epsilon "
        "also 0.01, 0.1, 1, 5; data cifar10; with controls"
    )
    assert "Data-free extraction" not in dict(setting_rows(plain().study))
    theft = result.study.theft
    plan = theft.data_free.replace(budgets={"disguide": 5000, "disguide-hard": 6000})
    said = dict(setting_rows(result.study.replace(theft=theft.replace(data_free=plan))))["Data-free extraction"]
    assert "1,000,000 queries (5,000 for disguide, 6,000 for disguide-hard) for each clone" in said


def test_a_blind_verdict_is_marked_everywhere(result: StudyResult) -> None:
    rows = {row.statement: row for row in claim_rows(result)}
    blind = rows["DivQAT raises the error of DFME over plain QAT."]
    assert blind.judged == f"{blind.verdict} (blind)"
    seen = rows["Ours: DivQAT raises the error of DFME also at the epsilon that is best against QAT."]
    assert seen.judged == seen.verdict
    notes = claim_notes(list(rows.values()))
    assert len(notes) == 4
    assert notes[0].startswith("DFME at epsilon 0.001 was blind against QAT")
    assert "blind: the attack saw nothing of the plain model either" in claims_words(list(rows.values()))
    page, text = study_html(result, Path("nowhere"), {}), study_markdown(result)
    assert page.count('<td class="judged blind">') == sum(row.blind for row in rows.values()) == 2
    assert f'<td class="judged blind">{blind.judged}</td>' in page
    for note in notes:
        assert f'<p class="caption">{note.replace(chr(39), "&#39;")}</p>' in page
        assert f"- {escaped(note)}\n" in text
    assert text.count("(blind) |") == 2


def test_the_page_of_results_says_what_verdicts_are_worth(result: StudyResult) -> None:
    text = results_markdown([result], ["studies/x"])
    assert "![Data-free extraction](studies/x/figures/questions.png)" in text
    assert "data-free attackers with 1,000,000 queries" in text
    assert text.count("(blind)** |") == 2
    for claim in claims(result):
        if claim.note:
            after = text[text.index(f"### {claim.statement}") :]
            assert claim.note[1:] in after[: after.index("| all |") if "| all |" in after else None][:900]
    plainly = results_markdown([plain()], ["studies/x"])
    assert "blind" not in plainly
    assert "without images" not in plainly


def test_a_study_of_evasion_has_none_of_it() -> None:
    text = study_markdown(made_diva(("cifar10",), ("ResNet",)))
    assert "without images" not in text
