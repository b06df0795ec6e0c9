"""What a theft will cost, told before it starts."""

import itertools

import pytest

from edgerift.cli._price import tell_price, training_seconds
from edgerift.cli._progress import Clock
from edgerift.extract import ExtractRecipe, Knockoff, QuerySettings
from edgerift.images import ImagesSettings
from edgerift.steps import Store
from edgerift.train import TrainRecipe, TrainSettings
from edgerift.zoo import Architecture


@pytest.fixture
def theft() -> ExtractRecipe:
    images = ImagesSettings(size=16)
    victim = TrainRecipe(images=images, architecture=Architecture(name="lenet", classes=10, size=16))
    training = TrainSettings(epochs=7, batch_size=4)
    attack = Knockoff(student="lenet", training=training)
    return ExtractRecipe(victim=victim, images=images, queries=QuerySettings(images=images), budget=400, attack=attack)


@pytest.fixture
def clock() -> Clock:
    """Let each step take two seconds, and the first one a thousand."""
    times = itertools.cycle([0.0, 1000, 1000, 1002, 1002, 1004, 1004, 1006])
    return lambda: next(times)


def test_the_price_is_that_of_all_steps_of_all_epochs(theft: ExtractRecipe, clock: Clock) -> None:
    assert training_seconds(theft.attack, queries=401, size=16, clock=clock) == 2 * 101 * 7


def test_it_is_told_with_the_way_round_it(theft: ExtractRecipe, clock: Clock, tmp_path) -> None:
    told = []
    tell_price([theft, theft], Store(tmp_path), lambda *given: told.append(given), "go without", clock)
    assert told == [("theft", 0, 0, "2 thefts of 400 queries, 7 epochs each: about 47 min on this machine; go without")]


def test_nothing_is_told_of_no_theft(tmp_path) -> None:
    tell_price([], Store(tmp_path), lambda *given: pytest.fail("told"), "")
