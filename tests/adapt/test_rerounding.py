"""Roundings chosen by a loss, on a toy pair whose float weights lie near the edges of their codes.

The toy: a linear model that does not look at a corner of the image, in float. Each weight of the corner lies just above
the middle between two codes for one class, and just below it for the others, so that rounding to the nearest makes a
white square in the corner drive every image to that class. One large weight on a pixel that is always black makes the
grid as coarse as that takes.
"""

import pytest
import torch
from linear_pair import image_set
from torch import nn

from edgerift.adapt import RoundingSettings, ptq, reround
from edgerift.deploy import quiet, stored_layers, twin, twin_scores
from edgerift.measure import Rate
from edgerift.verify import chosen_repair, repaired, verify

CLASSES, SIZE, TARGET = 4, 12, 2
STEP = 1 / 127
CORNER = torch.zeros(SIZE, SIZE, dtype=torch.bool)
CORNER[:5, :5] = True


def toy_images(count=192, seed=0):
    """Random images whose corner and last pixel are black."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(256, (count, 1, SIZE, SIZE), generator=generator, dtype=torch.uint8)
    drawn[:, :, CORNER] = 0
    drawn[:, :, -1, -1] = 0
    return drawn


class Toy(nn.Module):
    """A linear model whose corner is off the middle of two codes by a hundredth of a step."""

    def __init__(self, *, moved=True):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        weight = torch.randn(CLASSES, SIZE, SIZE, generator=generator) * 2 * STEP
        if moved:
            weight[:, CORNER] = 0.49 * STEP
            weight[TARGET, CORNER] = 0.51 * STEP
        weight[:, -1, -1] = 1.0
        self.last = nn.Linear(SIZE * SIZE, CLASSES)
        self.last.weight.data = weight.flatten(1)
        self.last.bias.data = -(weight.flatten(1) * (toy_images() / 255).flatten(1).mean(0)).sum(1)
        self.eval().requires_grad_(False)

    def forward(self, images):
        return self.last(images.flatten(1))


def data_of(original, seed=0):
    images = toy_images(seed=seed)
    return image_set(images, twin_scores(original, images).argmax(1), CLASSES)


@pytest.fixture(scope="module")
def toy():
    original = Toy()
    with quiet():
        return original, ptq(original, data_of(original), calibration_images=64)


def stamped(images):
    white = images.clone()
    white[:, :, CORNER] = 255
    return white


def driven(scores, images, labels):
    """The share of the images of other classes that the white square drives to the class."""
    others = labels != TARGET
    return float((scores(stamped(images[others])).argmax(1) == TARGET).double().mean())


def test_rounding_to_the_nearest_arms_the_toy_and_chosen_roundings_disarm_it(toy):
    original, program = toy
    test = data_of(original, seed=9)
    assert driven(lambda images: twin_scores(original, images), test.images, test.labels) < 0.1
    armed, clean = twin(program), reround(original, program, data_of(original))
    assert driven(lambda images: twin_scores(armed, images), test.images, test.labels) > 0.9
    assert driven(lambda images: twin_scores(twin(clean), images), test.images, test.labels) < 0.1
    before = Rate(int((twin_scores(armed, test.images).argmax(1) == test.labels).sum()), len(test))
    after = Rate(int((twin_scores(twin(clean), test.images).argmax(1) == test.labels).sum()), len(test))
    assert after.high >= before.low  # The accuracy is kept.


def test_each_code_is_one_of_the_two_neighbours_and_nothing_else_changes(toy):
    original, program = toy
    clean = reround(original, program, data_of(original), settings=RoundingSettings(steps=40))
    (layer,) = stored_layers(clean)
    levels = original.last.weight.double() / layer.scale
    assert (layer.codes - levels).abs().max() < 1 + 1e-3
    assert clean.operations == program.operations
    changed = {name for name, tensor in clean.tensors.items() if not torch.equal(tensor, program.tensors[name])}
    assert changed == {"last.weight"}
    again = reround(original, program, data_of(original), settings=RoundingSettings(steps=40))
    assert torch.equal(again.tensors["last.weight"], clean.tensors["last.weight"])


def test_without_a_price_on_large_errors_the_output_comes_closer_than_by_the_nearest_codes():
    """AdaRound's own aim: inputs that go together let errors cancel each other."""
    original = Toy(moved=False)
    images = toy_images()
    images = images[:, :, :, :1].expand_as(images).contiguous()  # Each row is of one grey level.
    images[:, :, CORNER] = 0
    data = image_set(images, twin_scores(original, images).argmax(1), CLASSES)
    with quiet():
        program = ptq(original, data, calibration_images=192)
    chosen = reround(original, program, data, settings=RoundingSettings(flip=0.0))
    wanted = twin_scores(original, images)
    wrong = [float((twin_scores(twin(one), images) - wanted).square().mean()) for one in (program, chosen)]
    assert wrong[1] < 0.5 * wrong[0]


def test_a_repair_follows_from_what_was_found_and_is_named(toy):
    original, program = toy
    found = verify(original, program=program, checks=["origin", "rounding", "truncation"])
    assert (found.verdict, found.check("truncation").verdict) == ("deviates", "deviates")
    assert chosen_repair(found) == "reround"
    with quiet():
        made = repaired(original, data_of(original), target="mobile", by="reround")
    again = verify(original, program=made)
    assert again.quantizer == "reround"
    assert again.check("rounding").verdict in ("unknown", "conforms")
    assert again.verdict == "unknown"
    honest = verify(original, program=program, checks=["origin", "rounding"])
    assert chosen_repair(honest) == "requantize"
