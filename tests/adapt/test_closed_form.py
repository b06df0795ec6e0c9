"""The optimum of DivQAT's loss image by image: a table, a grid, and the loss itself with free answers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgerift.adapt import Divqat, flip_alpha, poisoned_share
from edgerift.errors import InputError

MARGINS = (5, 8, 10, 12, 15, 20, 25)
#: Rows by alpha, columns by margin: the minimum of `objective` below on a grid of two million shares.
TABLE = {
    0.05: (0, 0, 0, 0, 0, 0, 0.14),
    0.08: (0, 0, 0, 0, 0, 0.36, 0.50),
    0.10: (0, 0, 0, 0, 0.29, 0.50, 0.61),
    0.12: (0, 0, 0, 0.23, 0.43, 0.59, 0.68),
    0.15: (0, 0, 0.25, 0.43, 0.56, 0.68, 0.74),
    0.20: (0, 0.30, 0.50, 0.60, 0.68, 0.76, 0.81),
    0.30: (0, 0.60, 0.69, 0.75, 0.80, 0.85, 0.88),
    0.50: (0.64, 0.78, 0.83, 0.85, 0.88, 0.91, 0.93),
}
GRID = np.linspace(0, 1, 200_001)[1:-1]


def objective(share, margin, alpha):
    entropy = -share * np.log(share) - (1 - share) * np.log1p(-share)
    return -np.log1p(-share) - alpha * (share * margin - entropy)


@pytest.mark.parametrize("alpha", TABLE)
def test_the_table(alpha):
    found = tuple(round(poisoned_share(margin, alpha), 2) for margin in MARGINS)
    assert found == TABLE[alpha]


@given(st.floats(0, 40), st.floats(0.01, 3))
def test_it_is_the_minimum_on_a_grid(margin, alpha):
    share = poisoned_share(margin, alpha)
    values = objective(GRID, margin, alpha)
    if share == 0:
        assert values.min() > -1e-9
        return
    assert objective(share, margin, alpha) <= min(values.min(), 0) + 1e-12
    assert math.log(share / (1 - share)) + margin == pytest.approx(1 / (alpha * (1 - share)), rel=1e-6)


@given(st.floats(2, 40), st.floats(0.01, 3))
def test_below_the_threshold_there_is_no_second_minimum(margin, alpha):
    slope = 1 / (1 - GRID) - alpha * (margin + np.log(GRID / (1 - GRID)))
    threshold = 1 + 1 / alpha - math.log(alpha)
    if margin < threshold:
        assert slope.min() > 0
        assert poisoned_share(margin, alpha) == 0
    elif margin > threshold + 1e-3:
        assert slope.min() < 0


@given(st.floats(2 * math.log(2) / (1 - math.log(2)) + 1e-6, 100))
def test_labels_flip_at_2_over_the_margin(margin):
    alpha = flip_alpha(margin)
    assert poisoned_share(margin, alpha * 0.999) < 0.5
    assert poisoned_share(margin, alpha * 1.001) > 0.5


@given(st.floats(0.5, 2 * math.log(2) / (1 - math.log(2)) - 1e-6))
def test_a_small_margin_flips_later_and_all_at_once(margin):
    shares = [poisoned_share(margin, flip_alpha(margin) * factor) for factor in (0.9, 1.0, 1.001, 1.1, 1.5, 3, 10)]
    assert shares[1] == 0
    assert all(share == 0 or share > 0.5 for share in shares)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_extremes_are_answered(share):
    given = {0.0: [(0, 0), (5, 0), (0, 1e-300), (1e-9, 0.5)], 1.0: [(1e300, 1.0), (1e6, 1e6)]}[share]
    assert [poisoned_share(*values) for values in given] == pytest.approx([share] * len(given))


@pytest.mark.parametrize(("margin", "alpha"), [(-1, 0.1), (math.nan, 0.1), (math.inf, 0.1), (5, -0.1), (5, math.nan)])
def test_what_is_no_margin_and_no_alpha_is_refused(margin, alpha):
    with pytest.raises(InputError, match="must be finite and at least 0"):
        poisoned_share(margin, alpha)


@pytest.mark.parametrize("margin", [0, -1, math.nan, math.inf])
def test_no_margin_has_no_flip(margin):
    with pytest.raises(InputError, match=r"margin is .*; it must be finite and above 0"):
        flip_alpha(margin)


def original_of(classes, margin):
    """Make logits `[1,K]` whose label is 0, with class K-1 the least likely by `margin` and others in between."""
    between = -torch.linspace(0.4, 0.8, classes - 2) * margin
    return torch.cat([torch.zeros(1), between, torch.tensor([-float(margin)])])[None]


def optimum(alpha, original, start):
    """Descend from a start on free logits `[1,K]`; return the answer and its loss."""
    logits = start.clone().requires_grad_()
    loss = Divqat(alpha=alpha)
    optimizer = torch.optim.LBFGS([logits], lr=1.0, max_iter=400, line_search_fn="strong_wolfe", tolerance_grad=1e-9)

    def closure():
        optimizer.zero_grad()
        value = loss.loss(logits, original, torch.tensor([0]))
        value.backward()
        return value

    for _ in range(5):
        optimizer.step(closure)
    return logits.detach().double().softmax(1)[0], float(loss.loss(logits.detach(), original, torch.tensor([0])))


def poisoned_start(classes, share):
    start = torch.full((1, classes), -8.0)
    start[0, 0], start[0, -1] = math.log(1 - share), math.log(share)
    return start


@pytest.mark.parametrize("classes", [3, 4, 6, 10])
@pytest.mark.parametrize(("margin", "alpha"), [(15, 0.1), (12, 0.12), (10, 0.2), (8, 0.3), (20, 0.1)])
def test_the_loss_with_free_answers_has_its_optimum_there(classes, margin, alpha):
    original = original_of(classes, margin)
    answer, value = optimum(alpha, original, poisoned_start(classes, 0.6))
    share = float(answer[-1])
    assert float(answer[0] + answer[-1]) == pytest.approx(1, abs=1e-3)
    assert share == pytest.approx(poisoned_share(margin, alpha), abs=3e-3)
    assert math.log(share / (1 - share)) + margin == pytest.approx(1 / (alpha * (1 - share)), abs=0.1)
    # The other minimum is the sharpened answer, and the higher one of the two.
    sharpened, above = optimum(alpha, original, original)
    assert float(sharpened[0]) == pytest.approx(1, abs=1e-3)
    assert above > value


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("alpha", [0.1, 0.3, 1.0])
def test_the_loss_has_no_poisoned_minimum_below_the_threshold(classes, alpha):
    threshold = 1 + 1 / alpha - math.log(alpha)
    # Where the slope is least, at the odds alpha, a minimum is born: below the threshold nothing is held there.
    start = poisoned_start(classes, 2 * alpha / (1 + 2 * alpha))
    below, _ = optimum(alpha, original_of(classes, threshold - 0.5), start)
    above, _ = optimum(alpha, original_of(classes, threshold + 0.5), start)
    assert float(below[-1]) < 1e-3
    assert float(above[-1]) > 0.5 * alpha / (1 + alpha)
