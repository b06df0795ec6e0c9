"""The registry of figures: each is found in documents, lies in its range, and stands wherever somebody asks for it."""

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_datafree import with_data_free
from made_knowledge import made_knowledge
from made_study import made_diva, made_divqat
from matplotlib.figure import Figure

from edgerift.facts import READINGS, Fact, Facts, Metric, Part, facts, pooled
from edgerift.facts import readings as of
from edgerift.report import (
    Chart,
    Row,
    StudyTable,
    figure_of,
    measured,
    records_csv,
    study_charts,
    study_figure,
    study_table,
    study_tables,
    table,
    table_csv,
)
from edgerift.report.figures import _registry as figures
from edgerift.report.tables import _registry as tables
from edgerift.steps import read_document
from edgerift.study import StudyResult

DOCS = Path(__file__).parents[3] / "docs" / "studies"


@pytest.fixture(scope="module")
def made() -> list[Facts]:
    thefts = with_data_free(made_divqat(missing=False), data=("cifar10",))
    (first, *rest) = thefts.thefts
    searches = {name: one.replace(diverged=(9.0,)) for name, one in first.hardening.searches.items()}
    diverged = first.replace(hardening=first.hardening.replace(searches=searches, diverged=(9.0,)))
    return [facts(made_diva(missing=False)), facts(made_knowledge()), facts(thefts.replace(thefts=(diverged, *rest)))]


@pytest.fixture(scope="module")
def published() -> list[Facts]:
    return [facts(read_document(StudyResult, DOCS / name / "result.json")) for name in ("diva", "divqat")]


def test_every_reading_finds_figures_in_a_study(made: list[Facts], published: list[Facts]) -> None:
    missing = [reading.metric.name for reading in READINGS if not any(one.of(reading) for one in (*made, *published))]
    assert missing == []


def test_every_figure_lies_in_the_range_of_its_metric(made: list[Facts], published: list[Facts]) -> None:
    for found in (*made, *published):
        for fact in found:
            low, high = fact.reading.metric.within
            ends = [end for end in (fact.value, fact.low, fact.high) if end is not None]
            assert all(math.isfinite(end) for end in ends), fact
            assert low <= fact.value <= high, fact
            if fact.low is not None and fact.high is not None:
                assert fact.low <= fact.value <= fact.high, fact


def test_metrics_of_one_name_are_the_same() -> None:
    known: dict[str, Metric] = {}
    for reading in READINGS:
        assert known.setdefault(reading.metric.name, reading.metric) == reading.metric
    assert all(metric.better in ("owner", "attacker", "neither") for metric in known.values())


def test_a_figure_stands_in_one_place_once(made: list[Facts], published: list[Facts]) -> None:
    for found in (*made, *published):
        places = [(fact.reading, fact.source, fact.paper, *fact.cells()[2:12], fact.about) for fact in found]
        assert len(set(places)) == len(places)


def test_selections_keep_the_order_and_nest() -> None:
    found = facts(made_diva(missing=False))
    own = found.of(of.EVASIVE, of.FOOLED, victim="qat", seed=frozenset((0, 2)))
    assert list(own) == [
        fact
        for fact in found
        if fact.reading in (of.EVASIVE, of.FOOLED) and fact.victim == "qat" and fact.seed in (0, 2)
    ]
    assert list(own.of(of.FOOLED).where(attack="diva", data="mnist")) == [
        fact for fact in own if fact.reading is of.FOOLED and (fact.attack, fact.data) == ("diva", "mnist")
    ]
    assert {seed: len(each) for seed, each in own.by("seed").items()} == {0: len(own) // 2, 2: len(own) // 2}
    assert own.distinct("seed") == [0, 2]
    assert not found.of(of.EVASIVE, victim="nobody")


@pytest.mark.parametrize("name", ["diva", "diva-digits", "divqat", "divqat-slope", "divqat-data-free"])
def test_the_published_tables_are_made_again_from_the_published_results(name: str) -> None:
    """Byte for byte: what is on disk was written by :func:`write_study`."""
    found = facts(read_document(StudyResult, DOCS / name / "result.json"))
    made = {f"{one.name}.csv": table_csv(one) for one in study_tables(found)}
    kept = {path.name: path.read_bytes().decode() for path in (DOCS / name / "tables").glob("*.csv")}
    assert made == kept
    assert records_csv(found) == (DOCS / name / "records.csv").read_bytes().decode()


@pytest.fixture
def declared() -> Iterator[None]:
    """Take back what a test declares; all that is declared elsewhere has to be there before."""
    registries = (figures.KINDS, tables.TABLES)
    assert all(registry.names() for registry in registries)
    parts = {name: part for name, part in vars(of).items() if isinstance(part, Part)}
    before = {name: list(part.readings) for name, part in parts.items()}
    kept, known = list(READINGS), [dict(registry._parts) for registry in registries]
    yield
    for name, part in parts.items():
        part.readings[:] = before[name]
    READINGS[:] = kept
    for registry, entries in zip(registries, known, strict=True):
        registry._parts = entries


MODULE = """
from edgerift.facts import Metric, readings

UNSURE = readings.VICTIM.measure(
    Metric("doubt of the answers", "share", "owner"), lambda part: 1 - part.top1, tables=["cost"]
)
"""


@pytest.mark.usefixtures("declared")
def test_a_metric_is_one_declaration() -> None:
    """It then stands in the records, in the tables that it names, and for everyone who asks."""
    result = made_divqat(("cifar10",), seeds=(0, 1), missing=False)
    space: dict[str, object] = {}
    exec(MODULE, space)
    found = facts(result)
    rows = list(csv.DictReader(io.StringIO(records_csv(found), newline="")))
    own = [row for row in rows if row["metric"] == "doubt of the answers" and row["victim"] == "divqat"]
    parts = [cell.hardening.victim["divqat"] for cell in result.thefts]
    assert [float(row["value"]) for row in own] == [1 - part.top1 for part in parts]
    assert {row["unit"] for row in own} == {"share"}
    (cost,) = [one for one in study_tables(found) if one.name == "cost"]
    column = [heading.line for heading in cost.headings].index("Doubt of the answers (%)")
    (line,) = [one for one in cost.rows if one[:3] == ("cifar10", "mobile", "DivQAT")]
    whole = pooled(found.of(space["UNSURE"], victim="divqat", target="mobile"), scale=100)
    assert whole is not None
    assert line[column].value == whole.value == pytest.approx(100 * (1 - parts[0].top1))  # type: ignore[union-attr]


@pytest.mark.usefixtures("declared")
def test_a_figure_and_a_table_are_one_function_each() -> None:
    """They then stand in the list of figures and of tables, in their places."""

    @study_figure("steps", 25, "Steps", "How many steps a success takes.", place="evasion", beside="steps")
    def steps(found: Facts) -> Chart | None:
        return Chart(draw, lambda _: "All of them.") if found.of(of.STEPS) else None

    def draw(found: Facts) -> Figure:
        return Figure((1, 1))

    @study_table(25)
    def slow(found: Facts) -> StudyTable:
        diva = found.of(of.STEPS, victim="qat", attack="diva")
        rows = [Row((data,), own, 1) for data, own in diva.by("data").items()]
        columns = [measured(of.STEPS)]
        return table("steps", "Steps", "Steps.", found, ("Data",), columns, rows, place="evasion")

    found = facts(made_diva(("cifar10",), ("ResNet",), (0,), missing=False))
    drawn: dict[str, bytes] = {}
    told = study_charts(Facts(found.result.replace(pairs=()), found.of(of.STEPS)), drawn.__setitem__)
    assert list(told.items()) == [("steps", "All of them.")]
    assert drawn["steps.png"].startswith(b"\x89PNG")
    assert figure_of("steps", found).caption == "How many steps a success takes."
    names = [one.name for one in study_tables(found)]
    assert names[names.index("success") + 1] == "steps"
    assert steps is not None
    assert slow is not None


def test_facts_of_a_reading_are_rows_of_records() -> None:
    fact = Fact(of.DEFENCE_STRENGTH, 0.5, data="svhn", victim="rs", seed=1, about="reverse-sigmoid")
    assert fact.cells() == (
        "", "measured", "svhn", "", "rs", 1, "", "", "", "", "strength of reverse-sigmoid", None, "strength", 0.5, None,
        None, None,
    )  # fmt: skip
    theft = Fact(of.DATA_FREE_ERROR, 0.5, attack="dfme", epsilon=1e-3, control="simulated")
    assert theft.cells()[7] == "dfme, epsilon 0.001, simulated"
    compared = Fact(of.ONLY_FIRST, 3, attack="pgd", against="diva")
    assert compared.cells()[7] == "pgd against diva"
