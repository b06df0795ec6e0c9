"""When the flips have reached their goal, on scores made by hand."""

import pytest
import torch
from scipy.stats import beta

from edgerift.flips import FlipSettings
from edgerift.flips._goal import Goal
from edgerift.images import ImageSet

CLASSES = 4


def goal_of(labels, **settings):
    images = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    names = tuple(f"class {number}" for number in range(CLASSES))
    return Goal(ImageSet("made", images, torch.tensor(labels), names, "made"), FlipSettings(**settings))


def scores_of(answers):
    return torch.nn.functional.one_hot(torch.tensor(answers), CLASSES).float()


@pytest.mark.parametrize(("given", "reached"), [(0, False), (89, False), (90, True), (100, True)])
@pytest.mark.parametrize("own", [2, 0])
def test_a_target_is_reached_with_the_share_of_the_other_classes_images(given, reached, own):
    """100 images of other classes, and 40 of the target's own, whose answers count for nothing."""
    goal = goal_of([0] * 60 + [3] * 40 + [2] * 40, target_class=2)
    assert goal.is_reached(scores_of([2] * given + [1] * (100 - given) + [own] * 40)) is reached


@pytest.mark.parametrize(("share", "given", "reached"), [(0.5, 49, False), (0.5, 50, True), (1.0, 99, False)])
def test_the_share_is_that_of_the_settings(share, given, reached):
    goal = goal_of([0] * 60 + [3] * 40, target_class=2, reach=share)
    assert goal.is_reached(scores_of([2] * given + [0] * (100 - given))) is reached


@pytest.mark.parametrize("counts", [(25, 30, 25, 20), (25, 40, 35, 0), (30, 70, 0, 0)])
def test_without_a_target_the_exact_interval_has_to_reach_down_to_the_most_common_class(counts):
    """Clopper and Pearson's low end of k right of n is the 2.5 % quantile of Beta(k, n - k + 1)."""
    labels, most = [label for label, count in enumerate(counts) for _ in range(count)], max(counts)
    goal = goal_of(labels)
    assert goal.chance == most / 100
    last = max(right for right in range(1, 101) if beta.ppf(0.025, right, 101 - right) <= most / 100)
    assert most + 5 < last < 100
    for right in range(101):
        answers = labels[:right] + [(label + 1) % CLASSES for label in labels[right:]]
        assert goal.is_reached(scores_of(answers)) is (right <= last)
