"""Inversion by a table and by the defence itself: exact where the defence is invertible, a mean where it is not."""

from typing import Any

import pytest
import torch
from torch import Tensor

from edgerift.defend import (
    Deception,
    Defence,
    LabelOnly,
    Mad,
    ReverseSigmoid,
    Rounding,
    Temperature,
    defended,
)
from edgerift.errors import EdgeriftError
from edgerift.extract import Knockoff, Pairs, inversion_table, learn_inversion, refined


def drawn(count: int, classes: int = 5, seed: int = 0, spread: float = 2.0) -> Tensor:
    return (spread * torch.randn(count, classes, generator=torch.Generator().manual_seed(seed))).softmax(1)


def pairs(defence: Defence, count: int = 3000, seed: int = 1) -> Pairs:
    clean = drawn(count, seed=seed)
    return Pairs(clean, defended(clean, [defence]))


def l1(first: Tensor, second: Tensor) -> Tensor:
    return (first - second).abs().sum(1)


def test_what_is_in_the_table_is_found_in_any_order_of_its_classes() -> None:
    known = pairs(ReverseSigmoid(beta=0.2))
    invert = inversion_table(known)
    assert torch.equal(invert(known.changed[:400]), known.clean[:400])
    turned = [3, 0, 4, 1, 2]
    assert torch.equal(invert(known.changed[:400, turned]), known.clean[:400, turned])


def test_a_defence_that_loses_all_but_the_label_is_answered_by_the_mean_of_each() -> None:
    known = pairs(LabelOnly())
    found = inversion_table(known)(known.changed)
    top = known.clean.amax(1).double().mean()
    assert torch.allclose(found.amax(1).double(), top, atol=1e-6)
    assert torch.equal(found.argmax(1), known.clean.argmax(1))
    assert torch.allclose(found.sum(1), torch.ones(len(found)), atol=1e-6)


@pytest.mark.parametrize("defence", [Temperature(value=3.0), Temperature(value=0.7), ReverseSigmoid(beta=0.05)])
def test_a_defence_that_is_invertible_is_inverted_exactly(defence: Defence) -> None:
    clean = drawn(200, spread=1.0)
    answers = defended(clean, [defence])
    assert float(l1(answers, clean).mean()) > 0.02
    start = inversion_table(pairs(defence))(answers)
    assert float(l1(refined(answers, start, [defence]), clean).max()) < 2e-3
    assert float(l1(refined(answers, start, [defence]), clean).mean()) < 1e-4


@pytest.mark.parametrize("defence", [Deception(beta=0.5), Rounding(decimals=1), LabelOnly()])
def test_refining_never_leaves_the_answer_further_off(defence: Defence) -> None:
    clean = drawn(200)
    answers = defended(clean, [defence])
    start = inversion_table(pairs(defence))(answers)
    found = refined(answers, start, [defence])
    before, after = (l1(defended(given, [defence]), answers) for given in (start, found))
    assert bool((after <= before).all())
    assert torch.allclose(found.sum(1), torch.ones(200), atol=1e-5)


def test_a_defence_that_looks_at_images_is_asked_with_them() -> None:
    """MAD moves an answer towards a corner that its surrogate chooses by the image: with it, much of it is undone."""
    images = torch.randint(256, (60, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    defence, clean = Mad(epsilon=0.4, surrogate="resnet8"), drawn(60)
    answers = defended(clean, [defence], images)
    start = inversion_table(Pairs(clean[30:], answers[30:]))(answers)
    found = refined(answers, start, [defence], images)
    assert float(l1(found[:30], clean[:30]).mean()) < float(l1(start[:30], clean[:30]).mean())


def test_a_network_learns_from_given_pairs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs of another defence than the one that is named: the map is that of the pairs."""
    monkeypatch.setattr("edgerift.extract._inversion._STEPS", 200)
    known = pairs(Temperature(value=2.0))
    invert = learn_inversion([LabelOnly()], 5, pairs=known)
    assert float(l1(invert(known.changed), known.clean).mean()) < 0.3 * float(l1(known.changed, known.clean).mean())


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"shadows": 2}, "name one with undo"),
        ({"undo_by": "table"}, "name one with undo"),
        ({"undo": (Mad(),)}, "inverted with shadows alone"),
    ],
)
def test_what_cannot_be_inverted_so_is_refused(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(EdgeriftError, match=told):
        Knockoff(**fields)


def test_defaults_keep_the_names_of_recipes() -> None:
    assert not {"undo_by", "shadows", "start"} & Knockoff().model_dump().keys()
