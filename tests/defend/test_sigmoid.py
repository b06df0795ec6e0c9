"""Reverse Sigmoid and Deception against other ways to compute them."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgerift.defend import Deception, ReverseSigmoid

RowsOf = Callable[[int], Tensor]


def powers(row: np.ndarray[Any, Any], beta: float, gamma: float) -> np.ndarray[Any, Any]:
    """p - r without a logarithm: sigmoid(gamma logit(p)) is p^gamma / (p^gamma + (1 - p)^gamma)."""
    ahead, behind = row**gamma, (1 - row) ** gamma
    return np.asarray(row - beta * (ahead / (ahead + behind) - 0.5))


def hyperbolic(row: np.ndarray[Any, Any], beta: float, gamma: float) -> np.ndarray[Any, Any]:
    """p - r with the published code's clamp, r = beta / 2 tanh(gamma / 2 log(odds)), one number after the other."""
    changed = []
    for p in row.tolist():
        odds = p / (1 - p) if p < 1 else math.inf
        odds = min(max(odds, 1e-12), 1 - 1e-12)
        changed.append(p - beta / 2 * math.tanh(gamma / 2 * math.log(odds)))
    return np.array(changed)


FORMULAS = {"exact": powers, "clamped-odds": hyperbolic}


@pytest.mark.parametrize("form", FORMULAS)
@pytest.mark.parametrize(("beta", "gamma"), [(0.1, 0.2), (0.64, 0.1), (1.28, 0.2), (3.0, 0.5), (1.0, 2.0)])
@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_reverse_sigmoid_is_its_formula(form: Any, beta: float, gamma: float, classes: int, rows_of: RowsOf) -> None:
    rows = rows_of(classes)
    expected = [np.maximum(FORMULAS[form](row, beta, gamma), 0) for row in rows.double().numpy()]
    expected = [row / row.sum() for row in expected]
    torch.testing.assert_close(
        ReverseSigmoid(beta=beta, gamma=gamma, form=form)(rows).double(),
        torch.tensor(np.array(expected)),
        rtol=0,
        atol=2e-7,
    )


@pytest.mark.parametrize("form", FORMULAS)
@pytest.mark.parametrize(("beta", "gamma", "nu"), [(0.5, 0.2, 1000.0), (0.9, 0.1, 1000.0), (1.2, 0.2, 7.0)])
@pytest.mark.parametrize("classes", [2, 10])
def test_deception_is_its_formula(
    form: Any, beta: float, gamma: float, nu: float, classes: int, rows_of: RowsOf
) -> None:
    rows = rows_of(classes)
    expected = []
    for row in rows.double().numpy():
        exponent = nu * (row.max() - beta)
        gate = 1 / (1 + math.exp(exponent)) if exponent < 700 else 0.0
        changed = row - gate * (row - FORMULAS[form](row, beta, gamma))
        expected.append(changed / changed.sum())
    answers = Deception(beta=beta, gamma=gamma, nu=nu, form=form)(rows)
    torch.testing.assert_close(answers.double(), torch.tensor(np.array(expected)), rtol=0, atol=2e-7)


@pytest.fixture(scope="module")
def toolbox() -> Any:
    """Give the Reverse Sigmoid of the Adversarial Robustness Toolbox."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # The toolbox imports every framework it finds, and their warnings with them.
        from art.defences.postprocessor import ReverseSigmoid as Toolbox
    return Toolbox


@pytest.mark.parametrize(("beta", "gamma"), [(0.1, 0.2), (0.5, 0.1), (0.99, 0.7), (0.9, 1.5)])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_reverse_sigmoid_is_that_of_the_robustness_toolbox(
    toolbox: Any, beta: float, gamma: float, classes: int, rows_of: RowsOf
) -> None:
    rows = rows_of(classes)
    # It holds probabilities in [1e-9, 1 - 1e-9] before it takes logits, which matters at 0 and 1 alone. For a beta up
    # to 1 its cut of p - r at 1 never acts.
    rows = rows[(rows > 1e-9).all(1) & (rows.double() < 1 - 1e-9).all(1)]
    assert len(rows) > 500
    expected = torch.from_numpy(toolbox(beta=beta, gamma=gamma)(rows.double().numpy()))
    torch.testing.assert_close(ReverseSigmoid(beta=beta, gamma=gamma)(rows).double(), expected, rtol=0, atol=6e-8)


@pytest.mark.parametrize(
    ("form", "kept", "l1"), [("exact", 0.4269785, 1.086043), ("clamped-odds", 0.4491507, 1.0416987)]
)
def test_reverse_sigmoid_by_hand(form: Any, kept: float, l1: float) -> None:
    # Ten classes, 0.97 and nine times 0.03 / 9: r of the first is 0.5 (sigmoid(0.2 * 3.47610) - 0.5) = 0.0835833, or
    # -5e-14 with the clamp, and of the others 0.5 (sigmoid(0.2 * -5.70044) - 0.5) = -0.1288617.
    answers = torch.tensor([[0.97] + [0.03 / 9] * 9])
    defended = ReverseSigmoid(beta=0.5, gamma=0.2, form=form)(answers)
    assert float(defended[0, 0]) == pytest.approx(kept, abs=1e-6)
    assert float((defended - answers).abs().sum()) == pytest.approx(l1, abs=1e-6)


def test_one_class_alone_by_hand() -> None:
    alone = torch.eye(3)[:1]
    # r is beta/2, -beta/2, -beta/2, so 1 - beta/2 of 1 + beta/2 is left; with the clamp r of the first is 0.
    assert ReverseSigmoid(beta=0.5)(alone)[0].tolist() == pytest.approx([0.75 / 1.25, 0.25 / 1.25, 0.25 / 1.25])
    floor = 0.5 * (1 / (1 + 1e12**0.2) - 0.5)
    clamped = ReverseSigmoid(beta=0.5, form="clamped-odds")(alone)
    assert float(clamped[0, 0]) == pytest.approx(1 / (1 - 2 * floor))
    # At beta 2 nothing is left of it, and beyond that the cut at 0 acts.
    assert ReverseSigmoid(beta=2.0)(alone)[0].tolist() == [0, 0.5, 0.5]
    assert ReverseSigmoid(beta=3.0)(alone)[0].tolist() == [0, 0.5, 0.5]


def test_deception_changes_what_is_below_its_beta_and_nothing_else() -> None:
    answers = torch.tensor([[0.97, 0.02, 0.01], [0.8, 0.15, 0.05], [1.0, 0.0, 0.0]])
    unsure = ReverseSigmoid(beta=0.9, gamma=0.2, form="clamped-odds")(answers)
    defended = Deception(beta=0.9, gamma=0.2)(answers)
    torch.testing.assert_close(defended[[0, 2]], answers[[0, 2]], rtol=0, atol=1e-7)
    torch.testing.assert_close(defended[1], unsure[1], rtol=0, atol=1e-7)
    everything = Deception(beta=1.2)(answers)
    torch.testing.assert_close(everything, ReverseSigmoid(beta=1.2, form="clamped-odds")(answers), rtol=0, atol=1e-7)


def test_the_label_is_kept_for_any_number_of_classes_where_the_map_grows() -> None:
    assert ReverseSigmoid(beta=0.99, gamma=1.0).keeps_argmax
    assert ReverseSigmoid(beta=0.45, gamma=2.0).keeps_argmax
    assert not ReverseSigmoid(beta=1.0, gamma=1.0).keeps_argmax
    assert not ReverseSigmoid(beta=0.6, gamma=2.0).keeps_argmax
    assert not ReverseSigmoid(beta=0.01, gamma=0.2).keeps_argmax


def largest(classes: int, gamma: float) -> float:
    """The largest beta that keeps the label: m / s(m) for m = 1 / (classes - 1), or 1 / gamma."""
    smallest = 1 / max(2, classes - 1)
    return smallest + smallest ** (1 - gamma) * (1 - smallest) ** gamma if gamma < 1 else 1 / gamma


@pytest.mark.parametrize("form", FORMULAS)
@pytest.mark.parametrize("gamma", [0.05, 0.1, 0.2, 0.7, 0.95, 1.0, 2.0])
@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_the_label_is_kept_up_to_a_beta(form: Any, gamma: float, classes: int, rows_of: RowsOf) -> None:
    bound = largest(classes, gamma)
    below = ReverseSigmoid(beta=0.9999 * bound, gamma=gamma, form=form)
    assert below.keeps_argmax_among(classes)
    assert not below.replace(beta=1.0001 * bound).keeps_argmax_among(classes)
    rows = torch.cat([rows_of(classes), hardest(classes)])
    assert torch.equal(below(rows).argmax(1), rows.argmax(1))


@pytest.mark.parametrize("gamma", [0.05, 0.2, 0.9])
@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_a_larger_beta_changes_the_label_of_the_hardest_row(gamma: float, classes: int) -> None:
    rows = hardest(classes)
    above = ReverseSigmoid(beta=1.01 * largest(classes, gamma), gamma=gamma)
    assert not torch.equal(above(rows).argmax(1), rows.argmax(1))


def hardest(classes: int) -> Tensor:
    """A class of probability 0, the others almost even; the first row of all: one class alone."""
    rows = torch.zeros(3, classes)
    rows[0, -1] = 1
    rows[1:, 1:] = 1 / (classes - 1)
    rows[2, -1] += 1e-5
    return rows


@given(
    weights=st.lists(st.integers(0, 20), min_size=2, max_size=12).filter(any),
    gamma=st.floats(0.02, 3),
    share=st.floats(0, 0.999),
    form=st.sampled_from(["exact", "clamped-odds"]),
)
def test_no_row_loses_its_label_below_that_beta(weights: list[int], gamma: float, share: float, form: Any) -> None:
    row = (torch.tensor([weights]).double() / sum(weights)).float()
    defence = ReverseSigmoid(beta=share * largest(len(weights), gamma), gamma=gamma, form=form)
    assert defence.keeps_argmax_among(len(weights))
    assert defence(row).argmax() == row.argmax()
