"""Rounding, top-k, the label alone and the temperature by hand and against other ways to compute them."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
import torch
from torch import Tensor

from edgerift.defend import Defence, LabelOnly, Rounding, Temperature, TopK

RowsOf = Callable[[int], Tensor]


@pytest.mark.parametrize("decimals", [0, 1, 2, 4])
@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_rounding_is_that_of_decimal_numbers(decimals: int, classes: int, rows_of: RowsOf) -> None:
    rows = rows_of(classes)[::5]
    place = Decimal(1).scaleb(-decimals)
    for row, answer in zip(rows.tolist(), Rounding(decimals=decimals)(rows).tolist(), strict=True):
        expected = [Decimal(p).quantize(place, ROUND_HALF_EVEN) for p in row]
        top = row.index(max(row))
        if expected.index(max(expected)) != top or max(expected) == 0:
            expected[top] += place
        assert answer == pytest.approx([float(p / sum(expected)) for p in expected], abs=1e-6)


@pytest.mark.parametrize(
    ("decimals", "row", "expected"),
    [
        (2, [0.126, 0.374, 0.5], [0.13, 0.37, 0.5]),
        (1, [0.96, 0.02, 0.02], [1, 0, 0]),
        # The most likely class would be equal to the first, which would become the label.
        (1, [0.33, 0.34, 0.33], [0.3, 0.4, 0.3]),
        # Every class would be 0.
        (1, [0.04] * 24 + [0.040001], [0] * 24 + [1]),
        (0, [0.3, 0.4, 0.3], [0, 1, 0]),
        (0, [0.25] * 4, [1, 0, 0, 0]),
        # Ties that were there before stay.
        (1, [0.34, 0.33, 0.33], [1 / 3] * 3),
    ],
)
def test_rounding_by_hand(decimals: int, row: list[float], expected: list[float]) -> None:
    answers = torch.tensor([row], dtype=torch.float64)
    answers = (answers / answers.sum()).float()
    assert Rounding(decimals=decimals)(answers)[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("k", [1, 2, 7])
@pytest.mark.parametrize("classes", [3, 10, 100])
def test_top_k_keeps_the_largest_and_the_first_of_equals(k: int, classes: int, rows_of: RowsOf) -> None:
    rows = rows_of(classes)
    cut, divided = TopK(k=k, renormalise=False)(rows), TopK(k=k)(rows)
    for row, left, answer in zip(rows.tolist(), cut.tolist(), divided.tolist(), strict=True):
        kept = sorted(range(classes), key=lambda index, row=row: (-row[index], index))[:k]
        expected = [p if index in kept else 0.0 for index, p in enumerate(row)]
        assert left == expected
        assert answer == pytest.approx([p / sum(expected) for p in expected], abs=1e-6)


@pytest.mark.parametrize("classes", [2, 10])
def test_label_only_is_top_1_and_0_decimals(classes: int, rows_of: RowsOf) -> None:
    rows = rows_of(classes)
    expected = np.eye(classes, dtype=np.float32)[rows.numpy().argmax(1)]
    for defence in (LabelOnly(), TopK(k=1), Rounding(decimals=0)):
        assert np.array_equal(defence(rows).numpy(), expected)


@pytest.mark.parametrize(
    ("defence", "start", "rest"),
    [
        (Rounding(decimals=12), 0.5 - 2**-25, []),
        (TopK(k=3), 0.2425, [0.2, 0.1575, 0.1575]),
        (Temperature(value=2.0), 0.2425, [0.2, 0.1575, 0.1575]),
    ],
    ids=repr,
)
def test_the_label_is_kept_where_a_division_makes_two_classes_equal(
    defence: Defence, start: float, rest: list[float]
) -> None:
    first = torch.tensor(start)
    answers = torch.stack([first, torch.nextafter(first, torch.tensor(1.0)), *torch.tensor(rest)])[None]
    defended = defence(answers)[0]
    assert defended.argmax() == 1
    assert defended[1] == torch.nextafter(defended[0], torch.tensor(1.0))


@pytest.mark.parametrize("value", [0.5, 1.5, 4.0])
def test_temperature_divides_the_logits(value: float) -> None:
    logits = torch.randn(500, 10, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 3
    answers = Temperature(value=value)(logits.softmax(1).float())
    torch.testing.assert_close(answers.double(), (logits / value).softmax(1), rtol=1e-5, atol=1e-7)


def test_a_thief_who_knows_the_temperature_undoes_it(rows_of: RowsOf) -> None:
    rows = rows_of(10)
    back = Temperature(value=1 / 3)(Temperature(value=3.0)(rows))
    torch.testing.assert_close(back, rows, rtol=1e-5, atol=1e-6)


def test_extreme_temperatures() -> None:
    answers = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]])
    assert Temperature(value=1e-300)(answers).tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    flat = Temperature(value=1e300)(answers)
    torch.testing.assert_close(flat, torch.tensor([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]]))
    assert flat.argmax(1).tolist() == [0, 2]
