import json

import pytest
import torch

from edgerift.errors import InputError
from edgerift.measure import Latency, latency

IMAGES = torch.arange(3, dtype=torch.uint8).reshape(3, 1, 1, 1).repeat(1, 3, 2, 2)


class Stopwatch:
    """A clock that moves only by what `predict` takes; `seconds` are the times of its calls, in order."""

    def __init__(self, seconds):
        self.now = 100.0
        self.seconds = list(seconds)
        self.batches = []

    def __call__(self):
        return self.now

    def predict(self, images):
        self.batches.append(images[:, 0, 0, 0].tolist())
        self.now += self.seconds.pop(0)
        return torch.zeros(len(images), 2)


def test_medians_without_the_warm_up():
    singles, batches = [9.0, 9.0, 0.003, 0.001, 0.5], [9.0, 9.0, 0.1, 0.2, 8.0]
    watch = Stopwatch(singles + batches)
    found = latency(watch.predict, IMAGES, repeats=3, warmup=2, batch_size=4, clock=watch)
    assert found.milliseconds == pytest.approx(3.0)
    assert found.images_per_second == pytest.approx(4 / 0.2)
    assert (found.batch_size, found.repeats) == (4, 3)
    assert watch.seconds == []


def test_the_images_are_taken_in_turn():
    watch = Stopwatch([1.0] * 8)
    latency(watch.predict, IMAGES, repeats=3, warmup=1, batch_size=2, clock=watch)
    assert watch.batches == [[0], [1], [2], [0], [0, 1], [2, 0], [1, 2], [0, 1]]


def test_the_real_clock_gives_positive_times():
    found = latency(lambda images: images.float().mean((2, 3)), IMAGES, repeats=2, warmup=0, batch_size=2)
    assert found.milliseconds > 0
    assert found.images_per_second > 0


def test_a_latency_is_plain_in_json():
    expected = {"milliseconds": 1.5, "images_per_second": 2.5, "batch_size": 3, "repeats": 4}
    assert json.loads(json.dumps(Latency(1.5, 2.5, 3, 4).as_dict())) == expected


@pytest.mark.parametrize("wrong", [{"repeats": 0}, {"warmup": -1}, {"batch_size": 0}])
def test_counts_that_are_too_small(wrong):
    with pytest.raises(InputError, match="allowed: repeats and batch size from 1, warmup from 0"):
        latency(lambda images: images.float().mean((2, 3)), IMAGES, **wrong)


def test_no_images():
    with pytest.raises(InputError, match="latency was requested for 0 images"):
        latency(lambda images: images.float().mean((2, 3)), IMAGES[:0])
