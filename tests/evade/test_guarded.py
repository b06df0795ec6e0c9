"""Attacks on a build that abstains: what has to be reached, and known answers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from linear_pair import StandInBuild, image_set, linear_model, margin_model, near_images
from torch import nn

from edgerift.deploy import twin_scores
from edgerift.errors import InputError, RecipeError
from edgerift.evade import (
    Attack,
    Evasion,
    Fleet,
    Pair,
    Steering,
    float_pair,
    is_evasive,
    judge,
    margin,
    presets,
    random_search,
    search,
)
from edgerift.evade._aim import Aim, rivals
from edgerift.specification import Guard

ROWS = st.lists(st.lists(st.integers(-6, 6), min_size=4, max_size=4), min_size=1, max_size=8)


def guarded(original: nn.Module, adapted: nn.Module, threshold: float) -> tuple[Pair, Steering]:
    build = StandInBuild(lambda images: twin_scores(adapted, images))
    return Pair(original, None, build, Guard(threshold=threshold)), Steering(original, (adapted,))


@given(ROWS, st.integers(1, 5), st.integers(0, 3))
def test_the_margin_that_a_search_sees_is_negative_exactly_where_the_build_falls(rows, threshold, label) -> None:
    # Half a step off the grid of the gaps, so that no margin is exactly zero.
    scores, labels = torch.tensor(rows, dtype=torch.float32), torch.full((len(rows),), label)
    guard, attack = Guard(threshold=threshold - 0.5), Attack()
    right = torch.nn.functional.one_hot(labels, 4).float()
    seen = margin(Aim.of(attack, guard)(scores, labels), labels)
    assert torch.equal(seen < 0, is_evasive(right, scores, labels, attack, guard))
    hiding = attack.replace(goal="abstain")
    seen = margin(Aim.of(hiding, guard)(scores, labels), labels)
    assert torch.equal(seen < 0, is_evasive(right, scores, labels, hiding, guard))
    towards = rivals(scores.flip(0), labels, 2)
    seen = margin(Aim.of(attack, guard)(scores, labels, towards), labels)
    assert torch.equal(seen < 0, (scores.argmax(1) == towards) & guard.answers(scores))


def test_without_a_guard_the_logits_are_seen_as_they_are() -> None:
    scores, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    assert Aim()(scores, labels) is scores


def shifted_pair(seed: int, difference: int) -> tuple[nn.Module, nn.Module, torch.Tensor, torch.Tensor]:
    """Make a pair whose margins differ by `difference` + 0.5 everywhere, images, and the original's least in a box."""
    images = near_images(40, 2, seed)
    weight = torch.randint(-1, 2, (12,), generator=torch.Generator().manual_seed(seed))
    levels = images.flatten(1).long()
    bias = difference + 30 - int((levels @ weight).float().median())
    low, high = (levels - 4).clamp_min(0), (levels + 4).clamp_max(255)
    least = torch.minimum(weight * low, weight * high).sum(1) + bias
    return margin_model(weight, bias), margin_model(weight, bias - difference - 0.5), images, least


@pytest.mark.parametrize("threshold", [41, 40, 10])
def test_a_pair_with_a_known_difference_evades_where_the_threshold_leaves_room(threshold: int) -> None:
    """Both margins differ by 40.5 units of 1/255; an image evades where the original's comes into (0, 40.5 - t]."""
    original, adapted, images, least = shifted_pair(3, 40)
    pair, steering = guarded(original, adapted, threshold / 255)
    found = search(pair, image_set(images), steering=steering, epsilon=4)
    # Every margin of the original is a whole number.
    room = 40.5 - threshold
    expected = (least[found.index] <= room) & (room >= 1)
    assert torch.equal(found.evasive, expected)
    assert bool(expected.any()) == (threshold == 10)
    free = search(Pair(original, None, pair.build), image_set(images), steering=steering, epsilon=4)
    assert int(free.evasive.sum()) > int(found.evasive.sum())


def test_a_build_that_is_wrong_but_not_sure_is_not_fooled() -> None:
    """Two wrong classes that are equal: the build's margin is far below the threshold, and it abstains."""
    weight = torch.zeros(3, 12)
    weight[0] = -1
    images = near_images(10, 2, seed=1)
    start = int(weight[0] @ images.flatten(1).float().median(0).values)
    adapted = linear_model(weight, torch.tensor([30.0 - start, 0.0, 0.0]))
    original = linear_model(torch.zeros(3, 12), torch.tensor([1e4, 0.0, 0.0]))
    images_of = image_set(images, torch.zeros(10, dtype=torch.int64), classes=3)
    pair, steering = guarded(original, adapted, 0.5 / 255)
    free = search(Pair(original, None, pair.build), images_of, steering=steering)
    assert int(free.evasive.sum()) > 3
    assert not search(pair, images_of, steering=steering).evasive.any()
    assert not random_search(pair, free.clean, free.labels, free.attack).any()
    assert not judge(pair, free.images, free.labels).evasive.any()


@pytest.mark.parametrize("attack", sorted(presets()))
def test_an_identical_pair_gives_nothing_with_a_guard(attack: str) -> None:
    model, _, images, _ = shifted_pair(2, 5)
    pair, steering = float_pair(model, model, Guard(threshold=0.01))
    assert not search(pair, image_set(images), attack, steering=steering).evasive.any()


def test_making_a_build_abstain_needs_less_than_fooling_it() -> None:
    original, adapted, images, least = shifted_pair(3, 40)
    pair, steering = guarded(original, adapted, 10 / 255)
    found = search(pair, image_set(images), goal="abstain", steering=steering, epsilon=4)
    # The build's margin is the original's less 40.5; it abstains where that comes below 10.
    assert torch.equal(found.evasive, least[found.index] <= 50)
    with pytest.raises(RecipeError, match="for a build with a guard"):
        search(Pair(original, None, pair.build), image_set(images), goal="abstain", steering=steering)
    with pytest.raises(RecipeError, match="one build"):
        search(Fleet((pair, pair)), image_set(images), goal="abstain", steering=steering)


def test_no_budget_finds_the_clean_disagreements_that_are_answered() -> None:
    original, adapted, _, _ = shifted_pair(3, 40)
    levels = near_images(60, 2, 3, spread=60)
    pair, steering = guarded(original, adapted, 10 / 255)
    for goal in ("wrong", "abstain"):
        found = search(
            pair, image_set(levels), Attack(epsilon=0, steps=0, goal=goal), steering=steering, eligible_only=False
        )
        clean = is_evasive(found.clean_original, found.clean_build, found.labels, found.attack, pair.guard)
        assert torch.equal(found.evasive, clean)
        assert 0 < int(clean.sum()) < len(levels)


@pytest.mark.parametrize("changes", [{}, {"runner_up": 2}, {"goal": "abstain"}])
def test_neither_batches_nor_order_change_a_result(changes) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = torch.randint(-3, 4, (4, 12), generator=generator)
    images = near_images(30, 2, seed=5)
    # No two scores are equal: an abstaining build has a kink there.
    bias = torch.tensor([200.25, 100.5, 50.75, 0.0])
    moved = weights + torch.randint(-1, 2, (4, 12), generator=generator)
    pair, steering = guarded(linear_model(weights, bias), linear_model(moved, bias), 5 / 255)
    labels = pair.original_scores(images).argmax(1)
    one, *others = (
        search(pair, image_set(images, labels, 4), steering=steering, batch_size=size, stop="never", **changes)
        for size in (64, 7, 1)
    )
    turned = search(pair, image_set(images.flip(0), labels.flip(0), 4), steering=steering, **changes, stop="never")
    for other in others:
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.evasive, other.evasive)
    assert torch.equal(one.evasive, turned.evasive.flip(0))
    assert torch.equal(one.images, turned.images.flip(0))


def test_a_fleet_answers_with_the_build_that_is_furthest_from_falling() -> None:
    """Of two builds that are wrong, the one with the smaller margin for the label is unsure: it holds."""
    labels, images = torch.tensor([0]), torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    sure, unsure = torch.tensor([[0.0, 2.0, 0.0]]), torch.tensor([[0.0, 3.0, 2.9]])
    original = linear_model(torch.zeros(3, 12), torch.tensor([1.0, 0.0, 0.0]))
    guard = Guard(threshold=1.0)
    first, second = (
        Pair(original, None, StandInBuild(lambda _, scores=scores: scores), guard) for scores in (sure, unsure)
    )
    assert torch.equal(Fleet((first, second)).build_scores(images, labels), unsure)
    bare = Fleet(tuple(Pair(original, None, member.build) for member in (first, second)))
    assert torch.equal(bare.build_scores(images, labels), sure)
    with pytest.raises(InputError, match="different guards"):
        Fleet((first, bare.members[0]))


def test_a_guard_comes_with_the_build_and_zero_takes_it_away(tmp_path) -> None:
    model, _, images, _ = shifted_pair(2, 5)
    build = StandInBuild(lambda asked: twin_scores(model, asked))
    build.guard = Guard(threshold=0.05)
    assert Pair(model, None, build).guard == build.guard
    assert Pair(model, None, build, Guard(threshold=0.1)).guard == Guard(threshold=0.1)
    assert Pair(model, None, build, Guard(threshold=0)).guard is None
    found = search(Pair(model, None, build), image_set(images), steering=Steering(model, (model,)), epsilon=2)
    found.save(tmp_path / "found.safetensors")
    again = Evasion.load(tmp_path / "found.safetensors")
    assert again.guard == found.select(torch.arange(3)).guard == build.guard
    assert again.rate_answered is not None
    assert again.rate_answered.trials == int(build.guard.answers(found.clean_build).sum())
