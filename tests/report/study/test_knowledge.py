"""What a study says of attackers who lack a model, of DIVA's weight, and of where attacked images land."""

from typing import Any

import pytest
from made_knowledge import QUERIES, made_knowledge

from edgerift.facts import Reading, claims, facts
from edgerift.facts import readings as of
from edgerift.measure import mcnemar
from edgerift.report import StudyTable, results_markdown, study_markdown, study_tables
from edgerift.report.tables._table import Number
from edgerift.study import StudyResult


@pytest.fixture(scope="module")
def result() -> StudyResult:
    return made_knowledge()


@pytest.fixture(scope="module")
def tables(result: StudyResult) -> dict[str, StudyTable]:
    return {one.name: one for one in study_tables(facts(result))}


def numbers(row: tuple[object, ...]) -> list[float]:
    return [round(cell.value, 3) for cell in row if isinstance(cell, Number)]


def test_the_table_of_surrogates_has_their_cost_and_what_they_reach(
    result: StudyResult, tables: dict[str, StudyTable]
) -> None:
    table = tables["knowledge"]
    rows = [row for row in table.rows if row[:4] == ("cifar10", "ResNet", "QAT", "without the original")]
    (row,) = rows
    # The seeds are 0, 1 and 2.
    assert {QUERIES - 1, 80.1, 70.1} < set(numbers(row))
    assert all("float control" not in row for row in table.rows)
    assert len(table.rows) == 2 * 2 * 2


def test_the_table_of_weights_is_in_their_order(tables: dict[str, StudyTable]) -> None:
    rows = [row for row in tables["weights"].rows if row[:3] == ("cifar10", "ResNet", "QAT")]
    assert [row[3].value for row in rows if isinstance(row[3], Number)] == [0.5, 1.0, 5.0]
    assert len(rows) == 3


def test_flipped_bits_and_differences_have_a_row_for_each_build(tables: dict[str, StudyTable]) -> None:
    spot = ("cifar10", "ResNet", "QAT")
    (flips,), (differences,) = (
        [row for row in tables[name].rows if row[:3] == spot] for name in ("flips", "differences")
    )
    # Means over the seeds 0, 1 and 2: flips needed, searches that reach chance, accuracies.
    assert {10.0, 83.333, 10.1, 86.0} < set(numbers(flips))
    assert {round(100 * 13 / 38, 3), round(100 * 3 / 38, 3), 12.0, 1.0} < set(numbers(differences))
    assert differences[-1] == Number(mcnemar(10 + 11 + 12, 3), kind="p")
    assert all("float control" not in row for name in ("flips", "differences") for row in tables[name].rows)


def test_claims_about_attackers_who_lack_a_model_are_judged(result: StudyResult) -> None:
    known = {claim.name: claim for claim in claims(result)}
    worth = known["what-the-original-is-worth"]
    assert worth.together is not None
    found = facts(result)
    spot = {"victim": "qat", "data": "cifar10", "original": "ResNet", "seed": 0}
    expected = [found.of(of.EVASIVE, attack=name, **spot)[0].value for name in ("default", "semi-black-box")]
    first = next(one for one in worth.findings if one.where == "cifar10, ResNet")
    assert first.difference.values[0] == pytest.approx(100 * (expected[0] - expected[1]))
    # Nobody attacked with answers alone, and nothing was pruned.
    assert known["what-the-build-is-worth"].together is None
    assert known["pruned-over-control"].together is None
    assert known["lands-there"].together is not None
    # That zeros land among ones is a claim about digits: only MNIST has any.
    assert {one.where.split(",")[0] for one in known["zero-is-one"].findings} == {"mnist"}


@pytest.mark.parametrize(
    ("name", "reading"), [("larger-c", of.EVASIVE), ("larger-c-loses", of.ORIGINAL_FOOLED)], ids=["finds", "loses"]
)
def test_claims_about_the_weight_compare_its_ends(result: StudyResult, name: str, reading: Reading[Any]) -> None:
    claim = next(one for one in claims(result) if one.name == name)
    spot = {"victim": "qat", "data": "cifar10", "original": "ResNet", "seed": 0}
    least, most = (facts(result).of(reading, attack=attack, **spot)[0].value for attack in ("diva-c0.5", "diva-c5"))
    assert least != most
    first = next(one for one in claim.findings if one.where == "cifar10, ResNet")
    assert first.difference.values[0] == pytest.approx(100 * (most - least))


def test_a_study_without_them_has_neither_table(result: StudyResult) -> None:
    assert result.study.evasion is not None
    plan = result.study.evasion
    attacks = {name: plan.attacks[name] for name in ("pgd", "diva", "default")}
    pairs = tuple(
        cell.replace(report=cell.report.replace(surrogates={}, flips=None, differ=None)) for cell in result.pairs
    )
    plain = result.replace(study=result.study.replace(evasion=plan.replace(attacks=attacks)), pairs=pairs)
    assert not {"knowledge", "weights", "flips", "differences"} & {one.name for one in study_tables(facts(plain))}


def test_the_pages_can_be_written(result: StudyResult) -> None:
    assert "Attackers who lack the original" in study_markdown(result)
    text = results_markdown([result, result.replace(profile="digits")], ["studies/one", "studies/two"])
    assert text.count("\n## DIVA\n") == 1
    assert text.count("\n## DIVA, profile digits\n") == 1
