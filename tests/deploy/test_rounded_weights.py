"""Weights that are rounded in each step of a training, and pass the gradient straight through."""

import pytest
import torch

from edgerift.deploy.twins._rounded_weights import RoundedWeight


def test_a_whole_weight_is_rounded_on_the_largest_scale():
    weight = torch.tensor([[1.0, -2.0], [0.1, 0.3]])
    rounded = RoundedWeight(weight, torch.ones(2, 1), (-127, 127), torch.full((2,), 1e-9), whole=True)
    levels, own = rounded.integers()
    assert own.tolist() == pytest.approx([2 / 127] * 2)
    assert levels.tolist() == [[64.0, -127.0], [6.0, 19.0]]
    assert torch.allclose(rounded(), levels * own[0])
    rounded().sum().backward()
    assert torch.equal(rounded.weight.grad, torch.ones(2, 2))
