import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgerift.errors import InputError, ModelError
from edgerift.measure import Quadrants, Rate, accuracy, agreement, l1_distance, quadrants

logits = arrays.arrays("float32", (6, 3), elements=st.floats(-50, 50, width=32)).map(torch.from_numpy)
labels = st.lists(st.integers(0, 2), min_size=6, max_size=6).map(torch.tensor)


def one_hot(*winners):
    return torch.eye(3)[list(winners)]


def test_quadrants_by_hand():
    found = quadrants(one_hot(0, 1, 2, 0, 0), one_hot(0, 1, 0, 2, 1), torch.tensor([0, 1, 2, 2, 2]))
    assert found == Quadrants(both_right=2, only_original_right=1, only_build_right=1, both_wrong=1)
    assert found.total == 5
    assert found.instability == Rate(2, 5)
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["only_original_right"] == 1
    assert plain["instability"]["value"] == 0.4


@given(logits, logits, labels)
def test_quadrants_add_up_to_the_accuracies(original, build, truth):
    found = quadrants(original, build, truth)
    swapped = quadrants(build, original, truth)
    assert found.total == 6
    assert accuracy(original, truth) == Rate(found.both_right + found.only_original_right, 6)
    assert accuracy(build, truth) == Rate(found.both_right + found.only_build_right, 6)
    assert (swapped.only_original_right, swapped.both_wrong) == (found.only_build_right, found.both_wrong)
    assert found.instability.successes <= 6 - agreement(original, build).successes
    assert quadrants(build, build, truth).instability == Rate(0, 6)


def test_agreement_by_hand():
    assert agreement(one_hot(0, 1, 2, 0), one_hot(0, 1, 1, 2)) == Rate(2, 4)
    assert agreement(torch.tensor([[1.0, 1.0]]), torch.tensor([[3.0, 3.0]])) == Rate(1, 1)


def test_l1_distance_by_hand():
    # The probabilities are (1/2, 1/2) and (1/4, 3/4), then equal ones: (1/4 + 1/4 + 0) / 2.
    first = torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    second = torch.tensor([[0.0, math.log(3)], [5.0, 6.0]])
    assert l1_distance(first, second) == pytest.approx(0.25, abs=1e-7)
    assert l1_distance(torch.tensor([[100.0, 0.0]]), torch.tensor([[0.0, 100.0]])) == pytest.approx(2.0)


@given(logits, logits, logits, st.floats(-20, 20))
def test_l1_distance_is_a_distance_of_probabilities(first, second, third, shift):
    distance = l1_distance(first, second)
    assert 0 <= distance <= 2 + 1e-12
    assert distance == pytest.approx(l1_distance(second, first), abs=1e-12)
    assert distance <= l1_distance(first, third) + l1_distance(third, second) + 1e-12
    assert l1_distance(first, first.double() + shift) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("compare", [agreement, l1_distance])
def test_scores_that_cannot_be_compared(compare):
    with pytest.raises(InputError, match=r"shapes \[2, 3\] and \[2, 4\] cannot be compared"):
        compare(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ModelError, match="scores of 2 of 2 images"):
        compare(torch.zeros(2, 3), torch.full((2, 3), math.nan))
    with pytest.raises(InputError, match="at least 1"):
        compare(torch.zeros(0, 3), torch.zeros(0, 3))
