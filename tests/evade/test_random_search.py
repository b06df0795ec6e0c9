"""The yardstick without gradients: what it draws, how often it asks, and what it finds."""

import pytest
import torch
from linear_pair import StandInBuild, margin_model, near_images
from torch import nn

from edgerift.evade import Attack, Pair, TargetedDiva, random_search

IMAGES = near_images(20, 4, seed=2)
LABELS = torch.ones(20, dtype=torch.int64)
ATTACK = Attack(epsilon=9, steps=6)


def constant(lead, classes=2):
    """A model that answers every image alike."""
    layer = nn.Linear(48, classes)
    layer.weight.data.zero_()
    layer.bias.data.zero_()
    layer.bias.data[1] = lead
    return nn.Sequential(nn.Flatten(), layer)


def recorded(answer=1.0):
    build = StandInBuild(lambda images: torch.tensor([[0.0, answer]]).repeat(len(images), 1))
    return Pair(constant(1.0), None, build), build.asked


def test_every_image_is_asked_as_often_as_the_attack_has_gradient_calls():
    for changes, tries in (({}, 6), ({"restarts": 3}, 18), ({"steps": 0}, 1)):
        pair, asked = recorded()
        assert not random_search(pair, IMAGES, LABELS, ATTACK.replace(**changes)).any()
        assert [len(images) for images in asked] == [20] * tries
    pair, asked = recorded()
    random_search(pair, IMAGES, LABELS, ATTACK, tries=4)
    assert len(asked) == 4


def test_the_draws_fill_the_box_and_never_leave_it():
    pair, asked = recorded()
    random_search(pair, IMAGES, LABELS, ATTACK, tries=10)
    low, high = IMAGES.int().sub(9).clamp(min=0), IMAGES.int().add(9).clamp(max=255)
    for number, images in enumerate(asked):
        assert images.dtype == torch.uint8
        drawn = images.int()
        assert bool(((drawn >= low) & (drawn <= high)).all())
        at_an_end = ((drawn == low) | (drawn == high)).float().mean()
        assert at_an_end == 1 if number % 2 else at_an_end < 0.3
        assert ((drawn - low).float() / (high - low)).mean() == pytest.approx(0.5, abs=0.05)
    assert len({images.numpy().tobytes() for images in asked}) == 10


def test_what_evades_is_found_and_asked_no_more():
    """The build is wrong wherever the first pixel is darker than before."""
    weight = torch.zeros(48)
    weight[0] = 1.0
    images = torch.full((20, 3, 4, 4), 100, dtype=torch.uint8)
    build = StandInBuild(lambda batch: torch.stack([torch.zeros(len(batch)), batch.flatten(1)[:, 0] - 99.5], 1))
    pair = Pair(margin_model(weight, 1000.0), None, build)
    found = random_search(pair, images, LABELS, ATTACK, tries=1)
    # Equal images have equal draws, so that the first one tells what happens to all.
    assert bool(found.all()) == bool(build.asked[0][0, 0, 0, 0] < 100)
    various = near_images(20, 4, seed=9).clamp(20, 200)
    level = various.flatten(1)[:, 0].float().mean()
    build.answer = lambda batch: torch.stack([torch.zeros(len(batch)), batch.flatten(1)[:, 0] - level], 1)
    build.asked.clear()
    found = random_search(pair, various, LABELS, ATTACK, tries=8)
    left = torch.ones(20).bool()
    for images in build.asked:
        assert len(images) == left.sum()
        left[left.nonzero()[:, 0][images.flatten(1)[:, 0] < level]] = False
    assert torch.equal(found, ~left)
    assert 0 < found.sum() < 20


def test_the_original_has_to_stay_right():
    wrong = StandInBuild(lambda images: torch.tensor([[1.0, 0.0]]).repeat(len(images), 1))
    assert random_search(Pair(constant(1.0), None, wrong), IMAGES, LABELS, ATTACK).all()
    assert not random_search(Pair(constant(-1.0), None, wrong), IMAGES, LABELS, ATTACK).any()


def test_the_goal_is_the_attacks_own():
    answers = torch.zeros(1, 7)
    answers[0, 3] = 1.0
    pair = Pair(constant(1.0, 7), None, StandInBuild(lambda images: answers.repeat(len(images), 1)))
    assert random_search(pair, IMAGES, LABELS, ATTACK).all()
    for target, expected in ((3, True), (2, False)):
        found = random_search(pair, IMAGES, LABELS, ATTACK.replace(objective=TargetedDiva(target=target)))
        assert bool(found.all()) == bool(found.any()) == expected
    beyond = pair.original_scores(IMAGES[:1]).topk(5).indices[0].tolist()
    found = random_search(pair, IMAGES, LABELS, ATTACK.replace(goal="top5"))
    assert bool(found.all()) == (3 not in beyond)


def test_neither_order_nor_neighbours_change_a_draw():
    pair, asked = recorded()
    random_search(pair, IMAGES, LABELS, ATTACK, tries=3)
    whole = [images.clone() for images in asked]
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))[:7]
    asked.clear()
    random_search(pair, IMAGES[order], LABELS[order], ATTACK, tries=3)
    for before, after in zip(whole, asked, strict=True):
        assert torch.equal(before[order], after)
    asked.clear()
    random_search(pair, IMAGES, LABELS, ATTACK.replace(seed=1), tries=3)
    assert not torch.equal(asked[0], whole[0])
