"""Gradients that are estimated from a build's answers."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from edgerift.evade import QueriedModule
from edgerift.measure import Logits

WEIGHT = torch.randn(4, 3 * 8 * 8, generator=torch.Generator().manual_seed(0))


def asked(images: Tensor) -> Tensor:
    """A linear model of grey levels: its gradient is known."""
    return (images.float() / 255).flatten(1) @ WEIGHT.T


def test_the_answers_are_the_builds_on_whole_grey_levels() -> None:
    shown = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    module = QueriedModule(Logits(asked), 4)
    assert torch.equal(module(shown), asked((shown * 255).round().to(torch.uint8)))


def test_the_estimate_is_unbiased_and_comes_closer_with_more_directions() -> None:
    shown = torch.full((1, 3, 8, 8), 0.5)
    true = WEIGHT[2].reshape(3, 8, 8)
    likeness = []
    for directions in (8, 400):
        image = shown.clone().requires_grad_()
        QueriedModule(Logits(asked), directions)(image)[:, 2].sum().backward()
        assert image.grad is not None
        likeness.append(float(torch.cosine_similarity(image.grad.flatten(), true.flatten(), dim=0)))
    assert likeness[1] > likeness[0] > 0
    assert likeness[1] > 0.3


def test_a_gradient_costs_two_queries_a_direction_and_is_the_same_again() -> None:
    queries: list[int] = []

    def counted(images: Tensor) -> Tensor:
        queries.append(len(images))
        return asked(images)

    module = copy.deepcopy(QueriedModule(Logits(counted), 5))
    gradients = []
    for _ in range(2):
        queries.clear()
        image = torch.full((3, 3, 8, 8), 0.5, requires_grad=True)
        module(image).sum().backward()
        gradients.append(image.grad)
        assert sum(queries) == 3 * (1 + 2 * 5)
    assert torch.equal(*gradients)  # type: ignore[arg-type]
