"""Coverage and the accuracy of what is answered, counted by hand."""

import pytest
import torch

from edgerift.errors import InputError
from edgerift.measure import Rate, score_gap, selective

YES, NO = True, False


def test_the_rates_are_counts() -> None:
    found = selective(torch.tensor([YES, YES, YES, NO, NO]), torch.tensor([YES, NO, YES, YES, NO]))
    assert (found.coverage, found.accuracy) == (Rate(3, 5), Rate(2, 3))


def test_who_answers_nothing_has_no_accuracy() -> None:
    assert selective(torch.tensor([NO, NO]), torch.tensor([YES, NO])).accuracy is None


def test_both_say_something_of_each_image() -> None:
    with pytest.raises(InputError, match="one of each per image"):
        selective(torch.tensor([YES]), torch.tensor([YES, NO]))


def test_the_gap_is_that_of_the_two_best() -> None:
    scores = torch.randn(50, 7, generator=torch.Generator().manual_seed(1))
    best = scores.sort(1, descending=True).values
    assert torch.equal(score_gap(scores), best[:, 0] - best[:, 1])
    assert score_gap(scores[:, :1]).isinf().all()
