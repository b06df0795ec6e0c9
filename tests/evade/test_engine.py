"""What a search asks, moves, counts and keeps, on models that are scripted by how far an image has come.

The images are flat and every gradient pushes up, so that after n steps of 1 an image is n grey levels brighter. Which
distances fool the original or the build is a table.
"""

from typing import NamedTuple

import pytest
import torch
from linear_pair import StandInBuild, image_set, margin_model
from torch import Tensor, nn

from edgerift.deploy import twin_scores
from edgerift.evade import Attack, CrossEntropy, Diva, Evasion, Pair, Steering, search

START = 100
STEPS = 6
CLIMB = Attack(objective=CrossEntropy(), epsilon=10, step=1.0, steps=STEPS)


class Scripted(nn.Module):
    """Answers class 1 but for images whose distance from the start is in `wrong`; by the first pixel."""

    def __init__(self, wrong: set[int]) -> None:
        super().__init__()
        self.register_buffer("wrong", torch.tensor(sorted(wrong)))

    def forward(self, images: Tensor) -> Tensor:
        distance = (images[:, 0, 0, 0] * 255).round() - START
        fooled = (distance[:, None] == self.wrong).any(1).float()
        return 2 + torch.stack([fooled, 1 - fooled], 1)  # A row of 0 and 1 would be a label, not logits.


class Counted(nn.Module):
    """A module that keeps the sizes of the batches it is given."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner
        self.sizes: list[int] = []
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        scores: Tensor = self.inner(images)
        return scores


class Run(NamedTuple):
    found: Evasion
    asked: list[int]
    gradients: Counted
    original_gradients: Counted


def flat(count: int) -> Tensor:
    return torch.full((count, 3, 2, 2), START, dtype=torch.uint8)


def run(
    attack: Attack,
    build_wrong: set[int],
    original_wrong: set[int] = frozenset(),
    *,
    images: Tensor | None = None,
    twin: nn.Module | None = None,
    batch_size: int = 64,
    eligible_only: bool = True,
) -> Run:
    """Search; `asked` are the distances that the build was asked about in the search, without the clean question."""
    images = flat(1) if images is None else images
    answers = Scripted(build_wrong)
    build = StandInBuild(lambda asked: answers(asked.float() / 255))
    pushing_up = margin_model(-torch.ones(12), 12 * START + 1000.0)
    steering = Steering(Counted(pushing_up), (Counted(twin or pushing_up),))
    found = search(
        Pair(Scripted(original_wrong), None, build),
        image_set(images, in_colour=True),
        attack,
        steering=steering,
        batch_size=batch_size,
        eligible_only=eligible_only,
    )
    questions = int(found.build_questions.sum())
    asked = torch.cat(build.asked[1:])[:questions] if questions else torch.empty(0, 3, 2, 2)
    distances = [int(image[0, 0, 0]) - START for image in asked]
    return Run(found, distances, steering.adapted[0], steering.original)


def distance(image: Tensor) -> int:
    assert (image == image[0, 0, 0]).all()
    return int(image[0, 0, 0]) - START


class Case(NamedTuple):
    stop: str
    build_wrong: set[int]
    original_wrong: set[int]
    first: int
    gradient_calls: int
    build_questions: int
    original_questions: int
    reported: int
    last: int
    fooled: bool


@pytest.mark.parametrize(
    "case",
    [
        Case("goal", {3}, set(), 3, 3, 3, 1, 3, 3, True),
        Case("goal", {2, 4}, {2}, 4, 4, 4, 2, 4, 4, True),
        Case("goal", {6}, set(), 6, 6, 6, 1, 6, 6, True),
        Case("goal", {7}, set(), -1, 6, 6, 0, 6, 6, False),
        Case("goal", set(), {1, 2, 3, 4, 5, 6}, -1, 6, 6, 0, 6, 6, False),
        Case("goal", {2, 3}, {2, 3}, -1, 6, 6, 2, 6, 6, True),
        Case("fooled", {2, 4}, {2}, -1, 2, 2, 1, 2, 2, True),
        Case("fooled", {2, 4}, set(), 2, 2, 2, 1, 2, 2, True),
        Case("fooled", set(), set(), -1, 6, 6, 0, 6, 6, False),
        Case("never", {3}, set(), 3, 6, 3, 1, 3, 6, True),
        Case("never", {2, 6}, {2}, 6, 6, 6, 2, 6, 6, True),
        Case("never", set(), set(), -1, 6, 6, 0, 6, 6, False),
    ],
    ids=str,
)
def test_a_search_stops_asks_and_counts_as_its_stop_rule_says(case: Case) -> None:
    found, asked, gradients, original_gradients = run(
        CLIMB.replace(stop=case.stop), case.build_wrong, case.original_wrong
    )
    assert found.first.tolist() == [case.first]
    assert found.evasive.tolist() == [case.first >= 0]
    assert found.void.tolist() == [False]
    assert found.gradient_calls.tolist() == [case.gradient_calls]
    assert sum(gradients.sizes) == case.gradient_calls
    assert original_gradients.sizes == []
    assert found.build_questions.tolist() == [case.build_questions]
    assert asked == list(range(1, case.build_questions + 1))
    assert found.original_questions.tolist() == [case.original_questions]
    assert distance(found.images[0]) == case.reported
    assert distance(found.last[0]) == case.last
    assert found.fooled.tolist() == [case.fooled]
    assert found.zero_gradients.tolist() == [0]
    last = case.last in case.build_wrong and case.last not in case.original_wrong
    assert (found.rate_last.successes if found.rate_last else None) == (int(last) if case.stop == "never" else None)
    expected = [int(0 <= case.first <= calls) for calls in range(STEPS + 1)]
    assert found.cumulative() == tuple(expected)


@pytest.mark.parametrize(
    ("build_wrong", "eligible_only", "evasive", "questions"), [({0}, False, [True], 1), ({5}, True, [False], 1)]
)
def test_without_steps_the_image_itself_is_judged(build_wrong, eligible_only, evasive, questions) -> None:
    found = run(CLIMB.replace(steps=0), build_wrong, eligible_only=eligible_only).found
    assert found.evasive.tolist() == evasive
    assert found.build_questions.tolist() == [questions]
    assert found.gradient_calls.tolist() == [0]
    assert found.cumulative() == (sum(evasive),)


@pytest.mark.parametrize("ask", ["always", "near"])
def test_an_image_that_evades_as_it_is_was_found_before_any_gradient(ask: str) -> None:
    """The first step would lose it: it is asked about, though a clean start is no question for an eligible image."""
    found, asked, _, _ = run(CLIMB.replace(ask=ask), {0}, eligible_only=False)
    assert found.evasive.tolist() == [True]
    assert found.first.tolist() == [0]
    assert found.gradient_calls.tolist() == [0]
    assert asked == [0]
    assert torch.equal(found.images, flat(1))


class Falling(nn.Module):
    """A twin whose margin is `height - distance`, and that agrees with the scripted build about the clean image."""

    def __init__(self, height: float) -> None:
        super().__init__()
        self.height = height
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        levels = images * 255
        fallen = (levels + (levels.round() - levels).detach()).mean((1, 2, 3)) - START
        # At the clean image these are the scripted build's 2 and 3, so that the twin's error there is zero.
        return 2 + torch.stack([fallen * 0, 1 - fallen / self.height], 1)


@pytest.mark.parametrize(
    ("height", "build_wrong", "asked", "first", "gradient_calls"),
    [
        pytest.param(2.5, {4}, [3, 4], 5, 5, id="asked from where the twin is wrong"),
        pytest.param(3.0, {3}, [3], 4, 4, id="a tie of the twin may be wrong"),
        pytest.param(2.5, {6}, [3, 4, 5, 6], 6, 6, id="the last is asked"),
        pytest.param(2.5, {2}, [3, 4, 5, 6], -1, 6, id="not asked where the twin is right"),
        pytest.param(90.0, {2}, [6], -1, 6, id="the last alone"),
        pytest.param(90.0, {6}, [6], 6, 6, id="found at the last alone"),
    ],
)
def test_near_asks_where_the_twin_says_that_the_build_may_be_wrong(
    height, build_wrong, asked, first, gradient_calls
) -> None:
    """A candidate is asked about once the gradient there is known, which is one call later than always."""
    result = run(CLIMB.replace(ask="near"), build_wrong, twin=Falling(height))
    assert result.asked == asked
    assert result.found.build_questions.tolist() == [len(asked)]
    assert result.found.first.tolist() == [first]
    assert result.found.gradient_calls.tolist() == [gradient_calls]
    assert len(result.found.cumulative()) == STEPS + 1
    if first >= 0:
        assert distance(result.found.images[0]) in build_wrong


def test_near_asks_early_where_the_twin_was_seen_to_err() -> None:
    """An error of 1 in a clean logit may hide a margin of 2: with a slope of 0.25 that is asked from the start."""
    result = run(CLIMB.replace(ask="near"), set(), twin=nn.Sequential(Falling(4.0), Shift(torch.tensor([0.0, 1.0]))))
    assert result.asked == list(range(7))


class Shift(nn.Module):
    def __init__(self, by: Tensor) -> None:
        super().__init__()
        self.by = by
        self.eval()

    def forward(self, scores: Tensor) -> Tensor:
        return scores + self.by


def test_every_restart_has_the_whole_budget_and_only_a_clean_start_goes_unasked() -> None:
    attack = CLIMB.replace(restarts=3)
    found = run(attack, set()).found
    assert found.gradient_calls.tolist() == [3 * STEPS]
    assert found.build_questions.tolist() == [STEPS + 2 * (STEPS + 1)]
    assert found.cumulative() == (0,) * (3 * STEPS + 1)
    found = run(attack.replace(start="random"), set()).found
    assert found.build_questions.tolist() == [3 * (STEPS + 1)]


def test_a_restart_goes_on_where_the_first_start_failed() -> None:
    """Distances below zero are reached from a random start alone."""
    found = run(CLIMB.replace(restarts=9), set(range(-10, 0))).found
    assert found.evasive.tolist() == [True]
    assert found.first[0] >= STEPS
    assert found.gradient_calls[0] == found.first[0] < 9 * STEPS
    assert int(found.images[0, 0, 0, 0]) < START


def test_both_models_are_asked_for_one_gradient_a_step() -> None:
    _, _, gradients, original_gradients = run(CLIMB.replace(objective=Diva()), set(), images=flat(5))
    assert gradients.sizes == original_gradients.sizes == [5] * STEPS


def test_samples_that_are_done_leave_the_batch_and_others_enter() -> None:
    """Images start at distances 0 to 9; the build falls at 10, so that they need 10 to 1 steps."""
    images = flat(10) + torch.arange(10, dtype=torch.uint8)[:, None, None, None]
    needed = [10 - row for row in range(10)]
    attack = CLIMB.replace(steps=12, epsilon=20)
    whole = run(attack, {10}, images=images)
    assert whole.found.first.tolist() == needed
    assert whole.gradients.sizes == list(range(10, 0, -1))
    refilled = run(attack, {10}, images=images, batch_size=4)
    assert refilled.found.first.tolist() == needed
    assert max(refilled.gradients.sizes) == 4
    assert sum(refilled.gradients.sizes) == sum(needed)
    assert len(refilled.gradients.sizes) < sum(needed) / 2


def test_gradients_that_are_zero_everywhere_are_counted_and_move_nothing() -> None:
    found = run(CLIMB, set(), twin=margin_model(torch.zeros(12), 10.0)).found
    assert found.zero_gradients.tolist() == [STEPS]
    assert torch.equal(found.last, found.clean)


def test_nothing_leaves_the_box_and_the_range() -> None:
    images = torch.tensor([0, 3, 128, 250, 255], dtype=torch.uint8)[:, None, None, None].expand(5, 3, 2, 2).contiguous()
    found = run(CLIMB.replace(epsilon=4, step=2.7), set(), images=images).found
    assert found.last[:, 0, 0, 0].tolist() == [4, 7, 132, 254, 255]
    assert found.last.dtype == torch.uint8


def test_a_balance_step_brings_the_mean_of_the_margins_to_zero() -> None:
    """Both models are linear, so that one step that is long enough ends on the sheet, but for one pixel's share."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randint(60, 200, (4, 3, 8, 8), generator=generator, dtype=torch.uint8)
    kept, lost = torch.randn(2, 192, generator=generator)
    lead = [2500 - float((images.flatten(1).float() @ side).min()) for side in (kept, lost)]
    original, adapted = margin_model(kept, lead[0]), margin_model(lost, lead[1])
    build = StandInBuild(lambda asked: twin_scores(original, asked))
    attack = Attack(rule="balance", epsilon=50, step=50.0, steps=1, stop="never")
    found = search(Pair(original, None, build), image_set(images), attack, steering=Steering(original, (adapted,)))
    assert len(found) == 4

    def level(at: Tensor) -> Tensor:
        return sum(scores[:, 1] - scores[:, 0] for scores in (twin_scores(m, at) for m in (original, adapted))) / 2

    one_pixel = float((kept + lost).abs().max()) / 2 * 100 / 255
    assert (level(found.clean) > 8 * one_pixel).all()
    assert level(found.last).abs().max() < 1.2 * one_pixel
