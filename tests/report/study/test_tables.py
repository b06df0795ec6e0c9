"""The tables of a study: every figure follows from the document, is over the seeds it says, and is named plainly."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from made_study import ATTACKED, SEEDS, TEST, made_diva, made_divqat, made_study
from scipy import stats

from edgerift.facts import facts
from edgerift.harden import VariantPart, paper_row
from edgerift.measure import Interval, mcnemar
from edgerift.report import Cell, Heading, Number, StudyTable, study_tables
from edgerift.report.tables._columns import interval_words
from edgerift.report.tables._table import OURS, PAPER, cell_words, made_table
from edgerift.study import PairReport, StudyResult

EVASION = ("accuracy", "success", "instability", "distances", "comparisons")
THEFT = ("victims", "joint-defences", "answers", "targets", "cost", "searches", "students", "alphas")


@pytest.fixture(scope="module")
def diva() -> StudyResult:
    return made_diva()


@pytest.fixture(scope="module")
def divqat() -> StudyResult:
    return made_divqat(targets=("server", "mobile"))


def tables(result: StudyResult) -> dict[str, StudyTable]:
    return {table.name: table for table in study_tables(facts(result))}


def row(table: StudyTable, *names: str) -> dict[str, Cell]:
    """Find the row that is about something, by its headings."""
    found = [one for one in table.rows if set(names) <= {cell for cell in one[: table.names] if isinstance(cell, str)}]
    assert len(found) == 1, (names, len(found))
    return {heading.line: cell for heading, cell in zip(table.headings, found[0], strict=True)}


def student(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean and Student's interval, by scipy."""
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    return float(np.mean(values)), float(low), float(high)


def close(cell: Cell, values: Sequence[float], *, low: float = 0.0, high: float = 100.0) -> None:
    assert isinstance(cell, Number)
    mean, bottom, top = student(values)
    assert (cell.value, cell.low, cell.high) == pytest.approx((mean, max(low, bottom), min(high, top)))


def reports(result: StudyResult, data: str, original: str, adaptation: str) -> list[PairReport]:
    place = (data, original, adaptation)
    return [cell.report for cell in result.pairs if (cell.data, cell.original, cell.adaptation) == place]


def parts(result: StudyResult, data: str, target: str, name: str) -> list[VariantPart]:
    return [cell.hardening.victim[name] for cell in result.thefts if (cell.data, cell.target) == (data, target)]


# Numbers


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Number(97.42, 96.04, 98.51, "share"), "97.4 [96.0, 98.5]"),
        (Number(0.0, 0.0, 7.39, "share"), "0.0 [0.0, 7.4]"),
        (Number(0.02, kind="share"), "< 0.1"),
        (Number(99.99, kind="share"), "> 99.9"),
        (Number(100.0, kind="share"), "100.0"),
        (Number(1.25, -0.04, 2.5, "points"), "+1.2 [0.0, +2.5]"),
        (Number(-1.26, kind="points"), "−1.3"),
        (Number(0.0, kind="points"), "0.0"),
        (Number(0.0004, kind="p"), "< 0.001"),
        (Number(1.0, kind="p"), "1.000"),
        (Number(1.23456, kind="strength"), "1.235"),
        (Number(12345.6, decimals=0), "12,346"),
        (Number(0.5, 0.5, 0.5, decimals=3), "0.500"),
        (Number(0.5, note="1 of 2 seeds"), "0.5 (1 of 2 seeds)"),
        ("as it is", "as it is"),
        (None, "–"),
    ],
)
def test_cells_are_written_as_a_reader_expects(number: Cell, text: str) -> None:
    assert cell_words(number).replace("\N{NO-BREAK SPACE}", " ") == text


def test_columns_without_a_figure_are_left_out_with_their_group() -> None:
    headings = [Heading("Data"), Heading(OURS, "Error (%)"), Heading(PAPER, "Error (%)"), Heading("Seeds")]

    def made(printed: Cell) -> StudyTable:
        return made_table(
            "x",
            "X",
            "Caption.",
            "",
            headings,
            [["a", Number(1.0), printed, "3"]],
            place="theft",
            names=1,
            paper="From.",
        )

    assert [heading.line for heading in made(None).headings] == ["Data", "Error (%)", "Seeds"]
    assert made(None).caption == "Caption."
    assert [heading.line for heading in made(Number(2.0)).headings][1:3] == ["Error (%): ours", "Error (%): paper"]
    assert made(Number(2.0)).caption == "Caption. From."
    assert made(Number(2.0)).column_groups() == [("", 1), ("Error (%)", 2), ("", 1)]


# Which tables there are


BARE = {"targets": ("mobile",), "students": False, "alphas": False}


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (made_diva(), EVASION),
        (made_divqat(), THEFT),
        (made_study(), (*EVASION, *THEFT)),
        (made_divqat(**BARE), ("victims", "joint-defences", "answers", "cost", "searches")),
        (made_divqat(rows=("ptq", "qat"), **BARE), ("victims", "answers", "cost")),
        (made_divqat(paper=None), THEFT),
        (made_diva(paper=None), EVASION),
    ],
)
def test_tables_are_those_that_the_result_has_figures_for(result: StudyResult, names: Sequence[str]) -> None:
    assert tuple(table.name for table in study_tables(facts(result))) == tuple(names)


def test_nothing_measured_makes_no_table() -> None:
    result = made_diva().replace(pairs=())
    assert study_tables(facts(result)) == []


@pytest.mark.parametrize("made", [made_diva, made_divqat, made_study])
def test_every_table_says_what_it_is(made: Callable[[], StudyResult]) -> None:
    for table in study_tables(facts(made())):
        assert table.title
        assert table.caption.endswith(".")
        assert not table.caption.startswith(".")
        assert ".." not in table.caption.replace("...", "")
        assert "None" not in table.caption
        assert len({heading.line for heading in table.headings}) == len(table.headings)
        assert all(len(one) == len(table.headings) for one in table.rows)
        shown = [cell for one in table.rows for cell in one]
        shares_shown = [cell for cell in shown if isinstance(cell, Number) and cell.kind == "share"]
        assert all(0 <= (cell.low or 0.0) <= cell.value <= (cell.high or 100.0) <= 100 for cell in shares_shown)
        with_interval = any(isinstance(cell, Number) and cell.low is not None for cell in shown)
        assert bool(table.intervals) is with_interval


def test_titles_name_the_papers_tables_only_where_it_is_studied() -> None:
    titles = " ".join(table.title for table in study_tables(facts(made_divqat(targets=("server", "mobile")))))
    for name in ("table I,", "table III", "table IV", "table V", "figure 3", "figures 4 to 6"):
        assert name in titles
    assert "tables 1 and 2" in tables(made_diva())["accuracy"].title
    # Tables III and IV are of servers.
    phones = " ".join(table.title for table in study_tables(facts(made_divqat())))
    assert "table III" not in phones
    assert "table IV" not in phones
    assert "table V" in phones
    for made in (made_diva, made_divqat):
        plain = study_tables(facts(made(paper=None)))
        assert "paper" not in " ".join(table.title + table.caption for table in plain)
        assert all(heading.name != PAPER for table in plain for heading in table.headings)


# Evasion


def test_accuracies_of_original_and_adapted(diva: StudyResult) -> None:
    found = row(tables(diva)["accuracy"], "mnist", "ResNet")
    originals = reports(diva, "mnist", "ResNet", "qat")
    close(found["Original (%): ours"], [100 * one.original_accuracy.value for one in originals])
    for adaptation, heading in (("ptq", "PTQ (%)"), ("qat", "QAT (%): ours"), ("finetune", "Float control (%)")):
        values = [100 * one.build_accuracy.value for one in reports(diva, "mnist", "ResNet", adaptation)]
        close(found[heading], values)
    assert (found["Original (%): paper"], found["QAT (%): paper"]) == (
        Number(97.7, decimals=2),
        Number(97.03, decimals=2),
    )


@pytest.mark.parametrize(
    ("data", "network", "original", "adapted"),
    [
        ("cifar10", "ResNet", 83.17, 96.67),
        ("cifar10", "DenseNet", 81.2, 88.83),
        ("cifar10", "MobileNet", 75.7, 81.2),
        ("mnist", "ResNet", 97.7, 97.03),
        ("mnist", "DenseNet", 99.59, 99.55),
        ("mnist", "MobileNet", 98.9, 99.7),
    ],
)
def test_first_papers_figures(data: str, network: str, original: float, adapted: float) -> None:
    result = made_diva((data,), (network,), (0,), missing=False)
    found = row(tables(result)["accuracy"], data, network)
    assert [found[f"{name} (%): paper"] for name in ("Original", "QAT")] == [
        Number(original, decimals=2),
        Number(adapted, decimals=2),
    ]


def test_a_gap_is_over_the_seeds_that_are_left(diva: StudyResult) -> None:
    found = row(tables(diva)["accuracy"], "cifar10", "ResNet")
    lost = found["QAT (%): ours"]
    assert isinstance(lost, Number)
    assert lost.note == "2 of 3 seeds"
    close(lost, [100 * one.build_accuracy.value for one in reports(diva, "cifar10", "ResNet", "qat")])
    assert row(tables(diva)["accuracy"], "mnist", "MobileNet")["PTQ (%)"] is None
    success = tables(diva)["success"]
    assert row(success, "cifar10", "ResNet", "QAT", "DIVA")["Seeds"] == "2 of 3"
    assert row(success, "cifar10", "ResNet", "PTQ", "DIVA")["Seeds"] == "3"
    assert not [one for one in success.rows if one[:3] == ("mnist", "MobileNet", "PTQ")]


@pytest.mark.parametrize("lost", ["ptq", "qat", "finetune"])
def test_any_adaptation_tells_the_originals_accuracy(lost: str) -> None:
    result = made_diva(missing=False)
    kept = tuple(cell for cell in result.pairs if (cell.adaptation, cell.seed) != (lost, 1))
    found = row(tables(result.replace(pairs=kept))["accuracy"], "cifar10", "ResNet")["Original (%): ours"]
    assert isinstance(found, Number)
    assert found.note == ""
    close(found, [100 * one.original_accuracy.value for one in reports(result, "cifar10", "ResNet", "qat")])


@pytest.mark.parametrize(("attack", "title"), [("pgd", "PGD"), ("diva", "DIVA"), ("default", "default")])
def test_success_of_every_attack(diva: StudyResult, attack: str, title: str) -> None:
    found = row(tables(diva)["success"], "cifar10", "MobileNet", "float control", title)
    attacked = [one.attacks[attack] for one in reports(diva, "cifar10", "MobileNet", "finetune")]
    columns: dict[str, Sequence[Interval | None]] = {
        "Evasive (%): at any step": [part.evasive for part in attacked],
        "Evasive (%): at the last step": [part.evasive_last for part in attacked],
        "Evasive (%): top five": [part.evasive_top5 for part in attacked],
        "Adapted wrong (%)": [part.fooled for part in attacked],
        "Original wrong (%)": [part.original_fooled for part in attacked],
    }
    for heading, column in columns.items():
        values = [100 * part.value for part in column if part is not None]
        cell = found[heading]
        assert isinstance(cell, Number)
        if len(set(values)) > 1:
            close(cell, values)
        else:
            assert column[0] is not None
            assert (cell.value, cell.low) == pytest.approx((values[0], 100 * column[0].low))


def test_few_classes_have_no_top_five() -> None:
    result = made_diva(("cifar10",), ("ResNet",), missing=False, classes=("cat", "dog"))
    headings = [heading.line for heading in tables(result)["success"].headings]
    assert "Evasive (%): at any step" in headings
    assert "Evasive (%): top five" not in headings


def test_captions_count_the_images(diva: StudyResult) -> None:
    found = tables(diva)
    assert f"Test images: cifar10 {TEST:,}, mnist {TEST:,}" in found["accuracy"].caption
    assert f"Attacked: {ATTACKED} test images for each seed" in found["success"].caption


def test_distances_leave_out_seeds_without_a_success(diva: StudyResult) -> None:
    changed = []
    for cell in diva.pairs:
        if (cell.data, cell.original, cell.adaptation, cell.seed) == ("mnist", "ResNet", "ptq", 1):
            lost = cell.report.attacks["pgd"].replace(steps=None, gradient_calls=None, linf=None, l2=None, ssim=None)
            cell = cell.replace(report=cell.report.replace(attacks={**cell.report.attacks, "pgd": lost}))
        changed.append(cell)
    found = row(tables(diva.replace(pairs=tuple(changed)))["distances"], "mnist", "ResNet", "PTQ", "PGD")
    whole = reports(diva, "mnist", "ResNet", "ptq")
    kept = [one.attacks["pgd"] for place, one in enumerate(whole) if place != 1]
    linf = found["Distance (grey levels): L∞"]
    assert isinstance(linf, Number)
    assert linf.note == "2 of 3 seeds"
    close(linf, [part.linf for part in kept if part.linf is not None])
    close(found["SSIM"], [part.ssim for part in kept if part.ssim is not None], low=-1, high=1)
    every = [100 * one.attacks["pgd"].confidence_delta for one in whole]
    close(found["Confidence difference (points): attacked"], every)


def test_attacks_are_compared_on_the_sums_over_seeds(diva: StudyResult) -> None:
    found = row(tables(diva)["comparisons"], "mnist", "ResNet", "QAT", "PGD", "DIVA")
    compared = [
        next(one for one in report.comparisons if (one.first, one.second) == ("pgd", "diva"))
        for report in reports(diva, "mnist", "ResNet", "qat")
    ]
    first, second = sum(one.only_first for one in compared), sum(one.only_second for one in compared)
    values = [found[name] for name in ("Images", "Evaded by: first alone", "Evaded by: second alone", "McNemar's p")]
    assert [cell.value for cell in values if isinstance(cell, Number)] == [
        3 * ATTACKED, first, second, pytest.approx(mcnemar(first, second)),
    ]  # fmt: skip


# Theft


def test_victims_beside_the_paper_and_against_qat(divqat: StudyResult) -> None:
    found = row(tables(divqat)["victims"], "gtsrb", "DivQAT")
    own, plain = parts(divqat, "gtsrb", "server", "divqat"), parts(divqat, "gtsrb", "server", "qat")
    close(found["l1"], [part.l1.value for part in own], high=math.inf)
    errors: dict[str, Callable[[VariantPart], Interval]] = {
        "Defender's error (%)": lambda part: part.defender_error,
        "Adversary's error (%), soft labels": lambda part: part.adversary_error.soft,
        "Adversary's error (%), hard labels": lambda part: part.adversary_error.hard,
    }
    for heading, share in errors.items():
        close(found[f"{heading}: ours"], [100 * share(part).value for part in own])
        apart = [100 * (share(part).value - share(base).value) for part, base in zip(own, plain, strict=True)]
        close(found[f"{heading}: minus QAT (points)"], apart, low=-math.inf, high=math.inf)
    assert found["Defender's error (%): paper"] == Number(6.88, decimals=2)
    assert found["Adversary's error (%), soft labels: paper"] == Number(52.03, decimals=2)
    assert found["Seeds"] == "3"
    assert row(tables(divqat)["victims"], "cifar10", "DivQAT")["Seeds"] == "2 of 3"


def test_the_plain_row_is_compared_with_nothing(divqat: StudyResult) -> None:
    found = row(tables(divqat)["victims"], "gtsrb", "QAT")
    assert all(cell is None for heading, cell in found.items() if "minus" in heading)
    assert cell_words(found["l1"]) == "0.000"


def test_strengths_span_the_seeds(divqat: StudyResult) -> None:
    found = tables(divqat)["victims"]
    strengths = [part.strength for part in parts(divqat, "gtsrb", "server", "divqat")]
    assert row(found, "gtsrb", "DivQAT")["Strength"] == f"{min(strengths):g} to {max(strengths):g}"
    assert row(found, "gtsrb", "QAT + Reverse Sigmoid")["Strength"] == "beta 0.12 to 0.14"
    assert row(found, "gtsrb", "QAT")["Strength"] is None
    joint = row(tables(divqat)["joint-defences"], "gtsrb", "DivQAT + Deception")["Strength"]
    assert joint == f"{min(strengths):g} to {max(strengths):g}; beta 0.75 to 0.85"


def test_a_search_that_allowed_nothing_says_so(divqat: StudyResult) -> None:
    changed = []
    for cell in divqat.thefts:
        hardening = cell.hardening
        if cell.seed != 1 and "divqat" in hardening.searches:
            search = hardening.searches["divqat"].replace(chosen=None, beyond_noise=False)
            victim = {**hardening.victim, "divqat": hardening.victim["divqat"].replace(strength=None)}
            hardening = hardening.replace(searches={**hardening.searches, "divqat": search}, victim=victim)
        changed.append(cell.replace(hardening=hardening))
    found = tables(divqat.replace(thefts=tuple(changed)))
    assert row(found["victims"], "gtsrb", "DivQAT")["Strength"] == "1 (none for 2 of 3 seeds)"
    lines = [one for one in found["searches"].rows if one[:3] == ("gtsrb", "server", "DivQAT")]
    assert [cell_words(one[4]) for one in lines] == ["none", "1", "none"]
    refused, l1 = ([cell_words(one[place]) for one in lines] for place in (6, 8))
    assert refused == ["0", "1.125", "0"]
    assert l1 == ["–", "0.042", "–"]


def test_joint_defences_are_compared_with_the_one_they_add_to(divqat: StudyResult) -> None:
    table = tables(divqat)["joint-defences"]
    titles = [one[1] for one in table.rows if one[0] == "gtsrb"]
    assert titles == [
        "QAT + Reverse Sigmoid",
        "DivQAT + Reverse Sigmoid",
        "QAT + Deception",
        "DivQAT + Deception",
    ]
    found = row(table, "gtsrb", "DivQAT + Deception")
    own, base = (parts(divqat, "gtsrb", "server", name) for name in ("divqat+dcp", "dcp"))
    apart = [
        100 * (part.adversary_error.soft.value - other.adversary_error.soft.value)
        for part, other in zip(own, base, strict=True)
    ]
    cell = found["Adversary's error (%), soft labels: minus QAT with it (points)"]
    assert isinstance(cell, Number)
    assert cell.value == pytest.approx(np.mean(apart))
    assert found["Adversary's error (%), soft labels: paper"] == Number(59.36, decimals=2)
    assert not any("+" in str(one[1]) and "DivQAT" in str(one[1]) for one in tables(divqat)["victims"].rows)


@pytest.mark.parametrize("target", ["mobile", "server"])
@pytest.mark.parametrize("name", ["qat", "divqat"])
def test_targets_have_their_own_figures_of_the_paper(divqat: StudyResult, target: str, name: str) -> None:
    title = {"qat": "QAT", "divqat": "DivQAT"}[name]
    found = row(tables(divqat)["targets"], "gtsrb", target, title)
    own = parts(divqat, "gtsrb", target, name)
    close(found["Defender's error (%): ours"], [100 * part.defender_error.value for part in own])
    printed = paper_row("gtsrb", name, target)
    assert printed is not None
    assert found["Defender's error (%): paper"] == Number(round(100 * printed.defender_error, 4), decimals=2)
    assert found["Adversary's error (%), soft labels: paper"] == Number(
        round(100 * printed.adversary_error, 4), decimals=2
    )
    assert len(tables(divqat)["targets"].rows) == 8


def test_cost_is_measured(divqat: StudyResult) -> None:
    table = tables(divqat)["cost"]
    found = row(table, "gtsrb", "server", "QAT + Deception")
    own = parts(divqat, "gtsrb", "server", "dcp")
    cells = [cell for cell in divqat.thefts if (cell.data, cell.target) == ("gtsrb", "server")]
    times = [cell.hardening.times["dcp"] for cell in cells]
    relative = [100 * part.defence_milliseconds / part.answer_milliseconds for part in times]
    close(found["Defence adds (%)"], relative, high=math.inf)
    close(found["Time of an answer (ms): defence adds"], [part.defence_milliseconds for part in times], high=math.inf)
    close(found["Labels changed (%)"], [100 * part.changed.value for part in own])
    noise = [one.hardening.noise.test for one in divqat.thefts if (one.data, one.target) == ("gtsrb", "server")]
    cell = found["l1: another seed"]
    assert isinstance(cell, Number)
    assert (cell.value, cell.low) == pytest.approx((noise[0].value, noise[0].low))
    where = {
        "PTQ": None,
        "QAT + Deception": "answers",
        "DivQAT": "training",
        "DivQAT + Deception": "training and answers",
    }
    for title, place in where.items():
        line = row(table, "gtsrb", "server", title)
        assert line["Defence sits in"] == place
        assert cell_words(line["Shipped (kB)"]).startswith("91 ")
        assert cell_words(line["Whole answer over plain QAT's"]).startswith("1.01 ")
        assert (line["Time of an answer (ms): defence adds"] is None) is ("Deception" not in title)


def test_searches_are_listed_seed_by_seed(divqat: StudyResult) -> None:
    table = tables(divqat)["searches"]
    lines = [one for one in table.rows if one[:3] == ("gtsrb", "server", "DivQAT")]
    assert [one[3] for one in lines] == [str(seed) for seed in SEEDS]
    by_heading = dict(zip([heading.line for heading in table.headings], lines[2], strict=True))
    (cell,) = [one for one in divqat.thefts if (one.data, one.target, one.seed) == ("gtsrb", "server", 2)]
    search = cell.hardening.searches["divqat"]
    trial = next(one for one in search.trials if one.strength == search.chosen)
    assert cell_words(by_heading["Strength: chosen"]) == f"{search.chosen:g}"
    assert by_heading["Strength: tried"] == "0, 1, 1.125, 4"
    assert by_heading["l1: of the chosen"] == Number(trial.l1, decimals=3)
    assert by_heading["l1: another seed"] == Number(search.floor, decimals=3)
    lost = by_heading["Accuracy lost (points): by the chosen"]
    assert isinstance(lost, Number)
    assert lost.value == pytest.approx(100 * (search.reference_accuracy - trial.accuracy))
    assert by_heading["Beyond another seed"] == "yes"


def test_students_stand_after_the_attacks_own(divqat: StudyResult) -> None:
    table = tables(divqat)["students"]
    lines = [one[:3] for one in table.rows if one[0] == "gtsrb"]
    expected = [
        ("gtsrb", clone, victim) for clone in ("resnet8", "lenet", "mobilenet_tiny") for victim in ("QAT", "DivQAT")
    ]
    assert lines == expected  # fmt: skip
    own = row(table, "gtsrb", "resnet8", "DivQAT")
    close(
        own["Disagreement (%): hard"],
        [100 * part.disagreement.hard.value for part in parts(divqat, "gtsrb", "server", "divqat")],
    )
    found = row(table, "gtsrb", "lenet", "DivQAT")
    errors = {
        victim: [
            100 * point.adversary_error.value
            for cell in divqat.thefts
            if (cell.data, cell.target) == ("gtsrb", "server")
            for point in cell.hardening.students
            if (point.victim, point.student, point.labels) == (victim, "lenet", "hard")
        ]
        for victim in ("qat", "divqat")
    }
    close(found["Adversary's error (%), hard labels: clone"], errors["divqat"])
    cell = found["Adversary's error (%), hard labels: minus QAT (points)"]
    assert isinstance(cell, Number)
    assert cell.value == pytest.approx(np.mean(errors["divqat"]) - np.mean(errors["qat"]))


def test_alphas_are_over_the_seeds_of_each(divqat: StudyResult) -> None:
    table = tables(divqat)["alphas"]
    assert [one[1] for one in table.rows if one[0] == "gtsrb"] == ["0.1", "0.3", "1", "2"]
    found = row(table, "gtsrb", "0.3")
    points = [
        point
        for cell in divqat.thefts
        if (cell.data, cell.target) == ("gtsrb", "server")
        for point in cell.hardening.alphas
        if point.alpha == 0.3
    ]
    close(found["KL to the original (nats)"], [point.divergence for point in points], high=math.inf)
    close(found["Adversary's error (%): soft labels"], [100 * point.adversary_error.value for point in points])
    for place, name in enumerate(("hard labels", "lenet, soft labels")):
        taken = [100 * point.thefts[place].adversary_error.value for point in points]
        close(found[f"Adversary's error (%): {name}"], taken)


def test_networks_are_named_where_there_are_several() -> None:
    several = made_divqat(("gtsrb",), ("ResNet", "MobileNet"), missing=False)
    assert "Network" in [heading.name for heading in tables(several)["victims"].headings]
    single = made_divqat(("gtsrb",), ("ResNet",), missing=False)
    assert "Network" not in [heading.name for heading in tables(single)["victims"].headings]


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 2)])
def test_says_what_the_brackets_are(seeds: tuple[int, ...]) -> None:
    words = interval_words(made_diva(seeds=seeds, missing=False).study)
    assert "Clopper-Pearson" in words
    assert ("Student's t" in words) is (len(seeds) > 1)
    assert ("one seed gives no seed-to-seed variance" in words) is (len(seeds) == 1)
