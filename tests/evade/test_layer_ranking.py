"""The ranking against a program in which one layer is known to be the culprit."""

from dataclasses import replace

import pytest
import torch
from made_networks import RELU, flat, random_images
from program_maker import ProgramMaker

from edgerift.deploy import layers, quiet, restored_twin, twin, twin_scores
from edgerift.evade import LayerEffect, rank_layers
from edgerift.measure import Rate


@pytest.fixture(scope="module")
def program():
    """Three convolutions and a linear layer whose logits stay in float."""
    with quiet():
        import torchao.quantization.pt2e  # noqa: F401
    maker = ProgramMaker(size=8)
    value = maker.rounded("image")
    for _ in range(3):
        value = maker.rounded(maker.call(RELU, maker.convolution(value, 8, kernel=3)))
    made = maker.program(maker.linear(flat(maker, value), 5))
    # Without their means the logits spread the answers over the classes.
    bias = f"{layers(made)[-1]}.bias"
    means = twin_scores(twin(made), random_images(80, size=8)).mean(0)
    return made.with_tensors({bias: made.tensors[bias] - means})


def crippled(program, index):
    """Give the result of one layer a grid with a hundredth of its range, so that nearly all of it is clipped."""
    operations = list(program.operations)
    pairs = [place for place, step in enumerate(operations) if "quantize_per_tensor" in step.operator]
    for place in pairs[2 * (index + 1) : 2 * (index + 2)]:  # The first pair is the image's.
        arguments = list(operations[place].arguments)
        arguments[1] /= 100
        operations[place] = operations[place].replace(arguments=arguments)
    return replace(program, operations=tuple(operations))


@pytest.mark.parametrize("index", [0, 1])
def test_the_layer_whose_range_was_crippled_comes_first(program, index):
    images = random_images(80, size=8)
    labels = twin_scores(twin(program), images).argmax(1)
    broken = crippled(program, index)
    wrong = twin_scores(twin(broken), images).argmax(1) != labels
    assert 10 < int(wrong.sum()) < 80
    ranked = rank_layers(broken, images, labels)
    assert {effect.layer for effect in ranked} == set(layers(program))
    assert ranked[0].layer == layers(program)[index]
    assert ranked[0].healed.trials == int(wrong.sum())
    assert ranked[0].healed.value > 0.9 > 0.5 > ranked[1].healed.value


def test_each_share_is_that_of_the_restored_twin_on_what_the_twin_gets_wrong(program):
    images = random_images(40, size=8)
    labels = torch.arange(40) % 5
    wrong = twin_scores(twin(program), images).argmax(1) != labels
    ranked = rank_layers(program, images, labels)
    for effect in ranked:
        scores = twin_scores(restored_twin(program, effect.layer), images[wrong])
        assert effect.healed == Rate(int((scores.argmax(1) == labels[wrong]).sum()), int(wrong.sum()))
    order = [(-effect.healed.successes, layers(program).index(effect.layer)) for effect in ranked]
    assert order == sorted(order)


def test_equal_layers_keep_the_order_of_the_program(program):
    """One image that no layer heals: all shares are 0."""
    images = random_images(1, size=8)
    scores = twin_scores(twin(program), images)
    ranked = rank_layers(program, images, scores.argmin(1))
    assert ranked == tuple(LayerEffect(name, Rate(0, 1)) for name in layers(program))


def test_weights_before_rounding_are_passed_on(program):
    images, name = random_images(60, size=8), layers(program)[-1]
    labels = torch.arange(60) % 5
    weight, scale = program.tensors[f"{name}.weight"].double(), program.tensors[f"{name}.scale"][:, None].double()
    original = {name: (weight + 0.49 * (-1.0) ** torch.arange(5)[:, None]) * scale}
    wrong = twin_scores(twin(program), images).argmax(1) != labels
    expected = twin_scores(restored_twin(program, name, original), images[wrong]).argmax(1) == labels[wrong]
    (found,) = [effect for effect in rank_layers(program, images, labels, original) if effect.layer == name]
    assert found.healed == Rate(int(expected.sum()), int(wrong.sum()))


@pytest.mark.parametrize("count", [0, 20])
def test_without_wrong_answers_there_is_nothing_to_rank(program, count):
    images = random_images(20, size=8)
    labels = twin_scores(twin(program), images).argmax(1)
    assert rank_layers(program, images[:count], labels[:count]) == ()


def test_progress_counts_the_layers(program):
    seen = []
    images = random_images(4, size=8)
    labels = twin_scores(twin(program), images).argmin(1)
    rank_layers(program, images, labels, progress=lambda task, done, total, note="": seen.append((task, done, total)))
    assert seen == [("rank layers", done, 4) for done in range(5)]
