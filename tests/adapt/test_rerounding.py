"""Roundings chosen by a loss, on a toy pair whose float weights lie near the edges of their codes."""

import pytest
import torch
from linear_pair import image_set
from rounding_toy import CLASSES, CORNER, Toy, data_of, driven, toy_images, turned

from edgerift.adapt import RoundingSettings, ptq, reround
from edgerift.deploy import quiet, stored_layers, twin, twin_scores
from edgerift.measure import Rate
from edgerift.verify import chosen_repair, repaired, verify


@pytest.fixture(scope="module")
def toy():
    original = Toy()
    with quiet():
        return original, ptq(original, data_of(original), calibration_images=64)


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


def test_roundings_that_someone_chose_are_gone_after_another_quantization():
    original = Toy(moved=False)
    data = data_of(original, seed=9)
    with quiet():
        armed = turned(original, ptq(original, data_of(original), calibration_images=64))
        clean = repaired(original, data_of(original), target="mobile", by="requantize")
    reached = [
        driven(lambda images, one=one: twin_scores(twin(one), images), data.images, data.labels)
        for one in (armed, clean)
    ]
    assert reached[0] > 0.9
    assert reached[1] < 0.1
    found = verify(original, program=armed, checks=["origin", "rounding"])
    assert (found.verdict, found.check("rounding").verdict) == ("deviates", "deviates")
    assert chosen_repair(found) == "requantize"


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
