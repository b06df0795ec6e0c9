"""Strengths, sweeps and settings that keep a budget."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from edgerift.defend import (
    DEFENCES,
    Deception,
    Defence,
    LabelOnly,
    ReverseSigmoid,
    SweepPoint,
    TopK,
    strengths,
    sweep,
    tuned,
    with_strength,
)
from edgerift.errors import InputError, RecipeError

Answered = tuple[Tensor, Tensor]
BLIND = [name for name, defence in DEFENCES.items() if not defence.sees]
WHOLE = ("rounding", "top-k", "label-only")


def l1(first: Tensor, second: Tensor) -> float:
    return float((first.double() - second.double()).abs().sum(1).mean())


def test_the_published_grids() -> None:
    assert strengths("reverse-sigmoid") == (0, *(0.0025 * 2**power for power in range(10)))
    assert strengths("deception") == (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5)


@pytest.mark.parametrize("name", BLIND)
def test_a_strength_makes_the_defence_and_the_distance_grows_with_it(name: str, confident: Answered) -> None:
    made = [with_strength(name, strength) for strength in strengths(name)]
    assert {defence.type for defence in made} == {name}
    distances = [l1(defence(confident[0]), confident[0]) for defence in made]
    assert distances == sorted(distances)
    assert name in WHOLE or (distances[0] == 0 and distances[1] > 0)


@pytest.mark.parametrize(
    ("name", "strength", "fields", "expected"),
    [
        ("reverse-sigmoid", 0.3, {"form": "clamped-odds"}, ReverseSigmoid(beta=0.3, form="clamped-odds")),
        ("deception", 0.3, {"gamma": 0.1}, Deception(beta=0.3, gamma=0.1)),
        ("top-k", 2.0, {}, TopK(k=2)),
        ("label-only", 1, {}, LabelOnly()),
    ],
)
def test_other_fields_are_passed_on(name: str, strength: float, fields: dict[str, Any], expected: Defence) -> None:
    assert with_strength(name, strength, **fields) == expected


@pytest.mark.parametrize(
    ("name", "strength", "fields", "message"),
    [
        ("reverse-sigmoids", 1, {}, "unknown defence 'reverse-sigmoids'; did you mean 'reverse-sigmoid'?"),
        (
            "reverse-sigmoid",
            1,
            {"beta": 2},
            "'beta' of 'reverse-sigmoid' is its strength; pass it once, as the strength",
        ),
        ("reverse-sigmoid", 1, {"sigma": 2}, "unknown field 'sigma'"),
        ("reverse-sigmoid", -1, {}, "beta is -1"),
        ("rounding", 1.5, {}, "decimals is 1.5; it must be a valid integer"),
        ("label-only", 0, {}, "'label-only' with strength 0; it is all or nothing, so its strength is 1"),
    ],
)
def test_a_strength_that_is_not_allowed_is_named(
    name: str, strength: float, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message.replace("?", r"\?")):
        with_strength(name, strength, **fields)


def test_a_point_by_hand() -> None:
    answers = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    (point,) = sweep("label-only", answers, torch.tensor([0, 0, 2, 2]))
    # One of four labels is wrong, with a probability of 0 that counts as 1e-12.
    expected = SweepPoint(strength=1, l1=0.5, error=0.25, changed=0, ece=0.25, nll=12 * math.log(10) / 4)
    assert point.model_dump() == pytest.approx(expected.model_dump())
    # One class alone is halved and shared out by a beta of 2: the first of the other two becomes the label.
    points = sweep("reverse-sigmoid", answers[2:], torch.tensor([2, 0]), strengths=[0.0, 2.0])
    assert [(point.l1, point.error, point.changed) for point in points] == [(0, 0.5, 0), (2, 0.5, 1)]


@pytest.mark.parametrize("name", BLIND)
def test_a_sweep_has_a_point_for_each_strength(name: str, confident: Answered) -> None:
    answers, labels = confident
    points = sweep(name, answers, labels)
    assert tuple(point.strength for point in points) == strengths(name)
    for point in points:
        defended = with_strength(name, point.strength)(answers)
        assert point.l1 == pytest.approx(l1(defended, answers), abs=1e-12)
        assert point.error == pytest.approx(float((defended.argmax(1) != labels).double().mean()))
        assert point.changed == pytest.approx(float((defended.argmax(1) != answers.argmax(1)).double().mean()))


def test_a_sweep_needs_answers_and_labels_that_fit(confident: Answered) -> None:
    answers, labels = confident
    with pytest.raises(InputError, match="one label each"):
        sweep("label-only", answers, labels[:-1])
    with pytest.raises(InputError, match="not probabilities"):
        sweep("label-only", answers * 2, labels)
    with pytest.raises(InputError, match="0"):
        sweep("label-only", answers[:0], labels[:0])
    with pytest.raises(RecipeError, match=r"renormalise=False.*rows add up to 1"):
        sweep("top-k", answers, labels, renormalise=False)


@pytest.mark.parametrize("budget", [0.01, 0.1, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("name", BLIND)
def test_a_tuned_defence_keeps_the_budget_and_a_stronger_one_would_not(
    name: str, budget: float, confident: Answered
) -> None:
    answers, _ = confident
    found = tuned(name, answers, budget)
    if found is None:
        assert l1(with_strength(name, strengths(name)[0])(answers), answers) > budget
        return
    assert l1(found(answers), answers) <= budget
    field = {"rounding": "decimals", "top-k": "k", "gaussian-noise": "sigma", "temperature": "value"}.get(name, "beta")
    if name != "label-only" and getattr(found, field) != strengths(name)[-1]:
        step = -1 if name in WHOLE else 1e-5
        stronger = found.replace(**{field: getattr(found, field) + step})
        assert l1(stronger(answers), answers) > budget


def test_the_cliff_of_deception_is_approached_from_below() -> None:
    # Nine of ten answers are of one class alone: no beta below 1 touches them, every beta over 1 does.
    unsure = torch.tensor([[0.6, 0.3, 0.1]] * 10)
    answers = torch.cat([torch.eye(3)[:1].repeat(90, 1), unsure])
    below, above = (l1(Deception(beta=beta)(answers), answers) for beta in (0.9, 1.2))
    assert below < 0.1 < 0.5 < above
    found = tuned("deception", answers, 0.5)
    assert isinstance(found, Deception)
    assert 0.99 < found.beta < 1.0
    assert below <= l1(found(answers), answers) <= 0.5
    # With a harder step there is nothing between the two levels.
    hard = tuned("deception", answers, 0.5, nu=1e9)
    assert isinstance(hard, Deception)
    assert hard.beta == pytest.approx(1, abs=1e-6)
    assert l1(hard(answers), answers) < 0.1


def test_a_reference_has_its_own_distance(confident: Answered) -> None:
    answers, _ = confident
    reference = (0.9 * answers + 0.01).float()
    floor = l1(answers, reference)
    # The reference lies in the direction in which the defence goes, so that a strength over 0 is nearer to it.
    nearer = tuned("reverse-sigmoid", answers, 0.7 * floor, reference=reference)
    assert nearer is not None
    assert l1(nearer(answers), reference) <= 0.7 * floor
    assert tuned("deception", answers, 0.5, reference=answers.flip(1)) is None
    found = tuned("reverse-sigmoid", answers, 0.4, reference=reference)
    assert isinstance(found, ReverseSigmoid)
    assert 0.3 < l1(found(answers), reference) <= 0.4 < l1(found(answers), answers)


def test_a_budget_of_0_is_the_identity(confident: Answered) -> None:
    assert tuned("reverse-sigmoid", confident[0], 0) == ReverseSigmoid(beta=0)


@pytest.mark.parametrize("budget", [-0.1, float("nan")])
def test_a_budget_that_is_not_allowed_is_named(budget: float, confident: Answered) -> None:
    with pytest.raises(RecipeError, match=r"a budget of .* for the l1 distance; allowed: 0 to 2"):
        tuned("deception", confident[0], budget)
