"""What holds for every defence."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from torch import Tensor

from edgerift.defend import (
    DEFENCES,
    Deception,
    Defence,
    GaussianNoise,
    LabelOnly,
    ReverseSigmoid,
    Rounding,
    Temperature,
    TopK,
    defended,
)
from edgerift.errors import InputError, RecipeError
from edgerift.settings import Settings

RowsOf = Callable[[int], Tensor]

SETTINGS: list[Defence] = [
    ReverseSigmoid(),
    ReverseSigmoid(beta=1.28),
    ReverseSigmoid(beta=5.0, gamma=3.0),
    ReverseSigmoid(beta=0.9, gamma=1.0),
    ReverseSigmoid(beta=0.5, form="clamped-odds"),
    Deception(),
    Deception(beta=1.5, gamma=0.1),
    Deception(beta=0.5, nu=10.0, form="exact"),
    Rounding(decimals=0),
    Rounding(decimals=1),
    Rounding(decimals=3),
    Rounding(decimals=12),
    TopK(k=1),
    TopK(k=3),
    LabelOnly(),
    GaussianNoise(sigma=0.05),
    GaussianNoise(sigma=20.0, seed=9),
    Temperature(value=0.001),
    Temperature(value=3.0),
    Temperature(value=1e9),
]
IDENTITIES: list[Defence] = [
    ReverseSigmoid(beta=0.0),
    ReverseSigmoid(beta=0.0, form="clamped-odds"),
    Deception(beta=0.0),
    TopK(k=100),
    TopK(k=100, renormalise=False),
    GaussianNoise(sigma=0.0),
    Temperature(value=1.0),
]

every = pytest.mark.parametrize("defence", SETTINGS, ids=repr)
every_size = pytest.mark.parametrize("classes", [2, 3, 10, 100])


def is_simplex(rows: Tensor) -> bool:
    return (
        rows.dtype == torch.float32
        and bool((rows >= 0).all())
        and bool(((rows.double().sum(1) - 1).abs() < 1e-6).all())
    )


@st.composite
def posteriors(draw: st.DrawFn, classes: int | None = None) -> Tensor:
    """Draw one row; whole weights make zeros, ties and uniform rows likely."""
    size = classes or draw(st.integers(2, 12))
    weight = st.integers(0, 3) | st.floats(0, 1, width=32, allow_subnormal=True)
    weights = draw(st.lists(weight, min_size=size, max_size=size).filter(lambda drawn: sum(drawn) > 1e-6))
    row = torch.tensor([weights], dtype=torch.float64)
    return (row / row.sum()).float()


def defences() -> st.SearchStrategy[Defence]:
    """Draw any defence with any settings."""
    beta, gamma = st.floats(0, 3), st.floats(0.01, 5)
    form = st.sampled_from(["exact", "clamped-odds"])
    return st.one_of(
        st.builds(ReverseSigmoid, beta=beta, gamma=gamma, form=form),
        st.builds(Deception, beta=beta, gamma=gamma, nu=st.floats(1, 1e4), form=form),
        st.builds(Rounding, decimals=st.integers(0, 12)),
        st.builds(TopK, k=st.integers(1, 12)),
        st.just(LabelOnly()),
        st.builds(GaussianNoise, sigma=st.floats(0, 10), seed=st.integers(0, 2**63 - 1)),
        st.builds(Temperature, value=st.floats(1e-3, 1e6)),
    )


def test_every_defence_is_in_the_tables() -> None:
    assert {defence.type for defence in SETTINGS} == {name for name, one in DEFENCES.items() if not one.sees}


@every
@every_size
def test_answers_stay_on_the_simplex(defence: Defence, classes: int, rows_of: RowsOf) -> None:
    assert is_simplex(defence(rows_of(classes)))


@given(row=posteriors(), defence=defences())
def test_any_settings_keep_any_row_on_the_simplex_and_the_label_where_promised(row: Tensor, defence: Defence) -> None:
    answer = defence(row)
    assert is_simplex(answer)
    assert answer.argmax() == row.argmax() or not defence.keeps_argmax


@every
@every_size
def test_the_label_stays_where_it_is_promised(defence: Defence, classes: int, rows_of: RowsOf) -> None:
    rows = rows_of(classes)
    if defence.keeps_argmax:
        assert torch.equal(defence(rows).argmax(1), rows.argmax(1))


def test_the_promises_are_these() -> None:
    promised = {defence.type for defence in SETTINGS if defence.keeps_argmax}
    assert promised == {"reverse-sigmoid", "rounding", "top-k", "label-only", "temperature"}
    assert not any(defence.keeps_argmax for defence in SETTINGS if isinstance(defence, Deception | GaussianNoise))
    assert all(defence.keeps_argmax for defence in IDENTITIES)


@pytest.mark.parametrize(
    "defence", [ReverseSigmoid(beta=1.28), Deception(beta=1.5), GaussianNoise(sigma=0.5)], ids=repr
)
def test_a_label_that_is_not_promised_does_change(defence: Defence, rows_of: RowsOf) -> None:
    rows = rows_of(10)
    assert not torch.equal(defence(rows).argmax(1), rows.argmax(1))


@pytest.mark.parametrize("defence", IDENTITIES, ids=repr)
@every_size
def test_zero_strength_changes_nothing(defence: Defence, classes: int, rows_of: RowsOf) -> None:
    rows = rows_of(classes)
    assert torch.equal(defence(rows), rows)


@every
@every_size
def test_a_row_is_changed_alone(defence: Defence, classes: int, rows_of: RowsOf) -> None:
    rows = rows_of(classes)
    together = defence(rows)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))
    assert torch.equal(defence(rows[order]), together[order])
    some = range(0, len(rows), 50)
    assert torch.equal(torch.cat([defence(rows[index : index + 1]) for index in some]), together[list(some)])
    assert torch.equal(defence(rows.t().contiguous().t()), together)


@every
def test_the_input_stays_as_it_is_and_the_answer_is_the_same_again(defence: Defence, rows_of: RowsOf) -> None:
    rows = rows_of(10)
    first = defence(rows)
    assert torch.equal(rows, rows_of(10))
    assert torch.equal(defence(rows), first)


@every
def test_no_rows_are_no_rows(defence: Defence) -> None:
    assert defence(torch.zeros(0, 3)).shape == (0, 3)


@every
def test_a_row_that_is_over_1_by_rounding_is_taken(defence: Defence) -> None:
    assert is_simplex(defence(torch.tensor([[1.00005, 0.0, 0.0, 0.0], [0.0, 0.50004, 0.5, 0.0]])))


@every
@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (torch.tensor([0.5, 0.5]), r"type float32 and shape \[2\]; needed: float32 \[N, classes\], at least 2 classes"),
        (torch.ones(3, 1), r"shape \[3, 1\]"),
        (torch.tensor([[0.5, 0.5]], dtype=torch.float64), "type float64"),
        (torch.tensor([[0.5, 0.5], [3.0, -1.0]]), "1 of 2 answers are not probabilities: each must be >= 0"),
        (torch.tensor([[0.5, 1.5], [-0.5, 1.5]]), "2 of 2 answers"),
        (torch.tensor([[0.5, 0.499]]), r"a row must add up to 1; take softmax\(1\) of logits"),
        (torch.tensor([[float("nan"), 0.5]]), "1 of 1 answers"),
        (torch.tensor([[float("inf"), 0.5]]), "1 of 1 answers"),
    ],
)
def test_what_are_no_answers_is_refused(defence: Defence, answers: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        defence(answers)
    with pytest.raises(InputError, match=message):
        defended(answers, [])


@pytest.mark.parametrize("defence", SETTINGS + IDENTITIES, ids=repr)
def test_a_defence_comes_back_from_its_json(defence: Defence) -> None:
    adapter: TypeAdapter[Defence] = TypeAdapter(Defence)
    assert adapter.validate_json(adapter.dump_json(defence)) == defence


class Victim(Settings):
    defences: tuple[Defence, ...] = ()


def test_documents_whose_kinds_stand_in_the_field_name_are_read() -> None:
    found = Victim.model_validate_json('{"defences": [{"name": "top-k", "k": 3}]}')
    assert found == Victim(defences=(TopK(k=3),))
    assert found.model_dump(mode="json") == {"defences": [{"type": "top-k", "k": 3, "renormalise": True}]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"type": "reverse-sigmoid", "beta": -0.1}, r"beta is -0.1; it must be greater than or equal to 0"),
        ({"type": "reverse-sigmoid", "gamma": 0}, r"gamma is 0; it must be greater than 0"),
        ({"type": "reverse-sigmoid", "form": "exakt"}, r"form is 'exakt'.*did you mean 'exact'\?"),
        ({"type": "reverse-sigmoid", "betta": 1}, "unknown field"),
        ({"type": "deception", "nu": 0}, r"nu is 0; it must be greater than 0"),
        ({"type": "deception", "beta": float("nan")}, r"beta is nan"),
        ({"type": "rounding", "decimals": -1}, r"decimals is -1; it must be greater than or equal to 0"),
        ({"type": "top-k", "k": 0}, r"k is 0; it must be greater than 0"),
        ({"type": "gaussian-noise", "sigma": -1}, r"sigma is -1"),
        ({"type": "gaussian-noise", "seed": -1}, r"seed is -1"),
        ({"type": "temperature", "value": 0}, r"value is 0; it must be greater than 0"),
        ({"type": "top-p"}, "'top-p'.*'top-k'"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        Victim(defences=(values,))
    assert "\n" not in str(caught.value)


def test_a_chain_is_applied_in_its_order() -> None:
    answers = torch.tensor([[0.5, 0.3, 0.2]])
    sharper, cut = Temperature(value=0.5), Rounding(decimals=1)
    assert torch.equal(defended(answers, [sharper, cut]), cut(sharper(answers)))
    assert not torch.equal(defended(answers, [sharper, cut]), defended(answers, [cut, sharper]))
    assert torch.equal(defended(answers, []), answers)


def test_a_chain_refuses_rows_that_one_link_left_off_the_simplex() -> None:
    answers = torch.tensor([[0.5, 0.3, 0.2]])
    unfinished = TopK(k=1, renormalise=False)
    assert torch.equal(defended(answers, [unfinished]), torch.tensor([[0.5, 0.0, 0.0]]))
    with pytest.raises(InputError, match="not probabilities"):
        defended(answers, [unfinished, LabelOnly()])
