"""Optimisers and their learning rates against closed forms."""

import math

import pytest
import torch
from torch import nn

from edgerift.extract import Descent
from edgerift.extract._descent import learning_rate, optimizer, set_learning_rate


@pytest.mark.parametrize("total", [1000, 11161, 7])
def test_steps_fall_at_shares_of_all_iterations(total: int) -> None:
    descent = Descent(learning_rate=0.2)
    for iteration in range(total):
        passed = sum(10 * iteration >= tenths * total for tenths in (1, 3, 5))
        assert learning_rate(descent, iteration, total) == pytest.approx(0.2 * 0.3**passed, rel=1e-12)


def test_other_milestones_and_factors() -> None:
    descent = Descent(learning_rate=1.0, milestones=(0.4, 0.8), factor=0.5)
    assert [learning_rate(descent, iteration, 5) for iteration in range(5)] == [1, 1, 0.5, 0.5, 0.25]


def test_cosine_falls_to_zero_along_half_a_wave() -> None:
    descent = Descent(learning_rate=0.1, schedule="cosine")
    for iteration, total in ((0, 9), (3, 9), (50, 100), (99, 100)):
        expected = 0.1 * math.cos(math.pi * iteration / total / 2) ** 2
        assert learning_rate(descent, iteration, total) == pytest.approx(expected, rel=1e-9)
    assert learning_rate(descent, 50, 100) == pytest.approx(0.05)


def test_constant_stays() -> None:
    descent = Descent(learning_rate=0.1, schedule="constant")
    assert {learning_rate(descent, iteration, 10) for iteration in range(10)} == {0.1}


def test_gradient_descent_has_momentum_and_decay() -> None:
    """Two steps on a gradient of 3, by hand."""
    module = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(2.0)
    chosen = optimizer(module, Descent(learning_rate=0.1, momentum=0.5, weight_decay=0.25))
    weight, velocity = 2.0, 0.0
    for rate in (0.1, 0.01):
        set_learning_rate(chosen, rate)
        module.weight.grad = torch.full((1, 1), 3.0)
        chosen.step()
        velocity = 0.5 * velocity + 3.0 + 0.25 * weight
        weight -= rate * velocity
        assert module.weight.item() == pytest.approx(weight, rel=1e-6)


def test_adam_has_no_decay() -> None:
    """Its first step has the learning rate's length, whatever the gradient."""
    module = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(2.0)
    chosen = optimizer(module, Descent(optimizer="adam", learning_rate=0.5, weight_decay=0.3))
    module.weight.grad = torch.full((1, 1), 1e-3)
    chosen.step()
    assert module.weight.item() == pytest.approx(1.5, rel=1e-4)
