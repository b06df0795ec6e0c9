"""Clones that vote and disagree, against hand-computed values."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgerift.extract import Vote
from edgerift.extract._clones import class_imbalance, disagreement, make_clones


class Fixed(nn.Module):
    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Tensor:
        return self.logits[: len(images)]


def logits(*rows: list[list[float]]) -> Tensor:
    """Make logits `[clones,N,K]` of posteriors; a constant for each clone changes nothing."""
    shifts = torch.arange(len(rows)).view(-1, 1, 1)
    return torch.tensor(rows).log() + shifts


def test_one_clone_answers_its_own_logits() -> None:
    own = torch.tensor([[5.0, 1.0], [2.0, 9.0]])
    assert torch.equal(Vote([Fixed(own)])(torch.zeros(2, 3, 4, 4)), own)


def test_several_clones_answer_their_mean_posterior() -> None:
    first, second = torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([[0.5, 0.5], [0.99, 0.01]])
    vote = Vote([Fixed(first.log() + 3), Fixed(second.log() - 2)])
    answers = vote(torch.zeros(2, 3, 4, 4))
    assert torch.allclose(answers.softmax(1), (first + second) / 2, atol=1e-6)
    assert torch.allclose(answers.mean(1), torch.zeros(2), atol=1e-6)
    assert len(list(vote.children())) == 1


def test_disagreement_of_two_clones() -> None:
    """The deviation of 0.9 and 0.5 as of a sample is 0.4 / sqrt(2)."""
    found = disagreement(logits([[0.9, 0.1], [0.3, 0.7]], [[0.5, 0.5], [0.3, 0.7]]))
    assert found.tolist() == pytest.approx([0.4 / math.sqrt(2), 0.0], abs=2e-6)


def test_disagreement_of_more_clones_is_numpys() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = 2 * torch.randn(3, 7, 4, generator=generator)
    expected = np.std(drawn.softmax(2).numpy(), axis=0, ddof=1).mean(1)
    assert disagreement(drawn).numpy() == pytest.approx(expected, rel=1e-5)


def test_clones_that_agree_have_no_slope_and_no_nan() -> None:
    drawn = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1).requires_grad_()
    disagreement(drawn).sum().backward()
    assert drawn.grad is not None
    assert torch.equal(drawn.grad, torch.zeros_like(drawn))


def test_climbing_disagreement_moves_clones_apart() -> None:
    drawn = logits([[0.6, 0.4]], [[0.4, 0.6]]).requires_grad_()
    disagreement(drawn).sum().backward()
    assert drawn.grad is not None
    moved = drawn.detach() + 0.1 * drawn.grad
    assert disagreement(moved) > disagreement(drawn.detach())


def test_class_imbalance_is_the_negative_entropy_of_the_mean() -> None:
    found = class_imbalance(logits([[0.9, 0.1], [0.3, 0.7]], [[0.5, 0.5], [0.3, 0.7]]))
    assert found.item() == pytest.approx(0.5 * math.log(0.5) * 2, rel=1e-6)
    skewed = class_imbalance(logits([[0.9, 0.1]], [[0.7, 0.3]]))
    assert skewed.item() == pytest.approx(0.8 * math.log(0.8) + 0.2 * math.log(0.2), rel=1e-6)
    assert class_imbalance(torch.zeros(2, 6, 5)).item() == pytest.approx(-math.log(5), rel=1e-6)
    alone = torch.tensor([[[200.0, 0.0]]])
    assert class_imbalance(alone).item() == pytest.approx(0, abs=1e-6)


def test_clones_come_from_seeds_of_their_own() -> None:
    before = torch.random.get_rng_state()
    first, second = make_clones("lenet", 2, 3, 12, 7)
    assert torch.equal(torch.random.get_rng_state(), before)
    (again,) = make_clones("lenet", 1, 3, 12, 7)
    (other,) = make_clones("lenet", 1, 3, 12, 8)
    images = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answers = [clone.eval()(images) for clone in (first, second, again, other)]
    assert answers[0].shape == (4, 3)
    assert torch.equal(answers[0], answers[2])
    assert not torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[3])
