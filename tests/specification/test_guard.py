"""Guards: who is answered, and the threshold that a coverage asks for."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgerift.errors import InputError, RecipeError
from edgerift.specification import Guard

#: Scores on an 8-bit grid whose step is no binary fraction, as those of a build are.
GRID = 0.0937


def scores_of(gaps: list[int], base: int = 37) -> torch.Tensor:
    """Make scores `[N,3]` on the grid with these gaps, the best at another place each."""
    rows = [[(base + index) * GRID, (base + index + gap) * GRID, -5.0] for index, gap in enumerate(gaps)]
    return torch.tensor(rows, dtype=torch.float32)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.floats(0.01, 1.0))
def test_the_threshold_is_the_gap_of_the_rank_that_the_coverage_asks_for(gaps: list[int], coverage: float) -> None:
    scores = scores_of(gaps)
    guard = Guard.calibrate(scores, coverage)
    level = sorted(gaps, reverse=True)[max(1, math.ceil(round(coverage * len(gaps), 6))) - 1]
    # Equal gaps on the grid, which float32 rounds apart, are answered alike.
    assert guard.answers(scores).tolist() == [gap >= level for gap in gaps]
    assert guard.coverage(scores).value >= coverage - 1e-6
    assert guard.threshold == pytest.approx(level * GRID, abs=1e-4)
    stricter = Guard(threshold=guard.threshold + GRID / 2)
    assert stricter.coverage(scores).value < coverage


def test_unseen_images_on_the_grid_are_answered_at_the_calibrated_gap() -> None:
    guard = Guard.calibrate(scores_of([1, 2, 3, 5, 8]), 0.6)
    for base in range(-40, 120):
        assert guard.answers(scores_of([2, 3], base)).tolist() == [False, True]


def test_scaling_the_scores_scales_the_threshold() -> None:
    scores = torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    guard, doubled = Guard.calibrate(scores, 0.9), Guard.calibrate(2 * scores, 0.9)
    assert doubled.threshold == 2 * guard.threshold
    assert torch.equal(guard.answers(scores), doubled.answers(2 * scores))
    # The gap does not depend on what all scores share: those of logits and of their log-probabilities are equal.
    logs = scores.log_softmax(1)
    assert Guard.calibrate(logs, 0.9, space="log-probabilities").threshold == pytest.approx(guard.threshold, abs=1e-5)


def test_a_threshold_of_zero_answers_ties() -> None:
    assert Guard(threshold=0).answers(torch.tensor([[1.0, 1.0]])).tolist() == [True]
    assert Guard.calibrate(torch.zeros(3, 4), 0.5).threshold == 0
    assert Guard.calibrate(torch.ones(3, 1), 0.5).threshold == 0


@pytest.mark.parametrize("coverage", [0, -0.1, 1.01, float("nan")])
def test_a_coverage_is_a_share(coverage: float) -> None:
    with pytest.raises(InputError, match="a coverage of"):
        Guard.calibrate(torch.zeros(3, 4), coverage)


def test_scores_have_to_be_there_and_finite() -> None:
    for scores in (torch.zeros(0, 4), torch.tensor([[0.0, float("nan")]])):
        with pytest.raises(InputError, match="finite scores"):
            Guard.calibrate(scores, 0.9)
    with pytest.raises(RecipeError, match="threshold"):
        Guard(threshold=-1)
