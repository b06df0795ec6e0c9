"""The weights that post-training quantization rounded: each lies within half a level of what the program holds."""

import pytest
import torch

from edgerift import zoo
from edgerift.adapt import float_weights, ptq
from edgerift.deploy import layers, restored_twin, twin
from edgerift.images import load, to_float


@pytest.mark.parametrize("name", ["lenet", "resnet8"])
def test_they_are_what_the_program_was_rounded_from(name: str) -> None:
    train = load("digits").train.select(range(64))
    original = zoo.create(name, classes=10, seed=1)
    program = ptq(original, train, calibration_images=32)
    weights = float_weights(original, program)

    assert set(weights) == set(layers(program))
    for layer, weight in weights.items():
        scale = program.tensors[f"{layer}.scale"].view([-1] + [1] * (weight.dim() - 1))
        rounded = program.tensors[f"{layer}.weight"] * scale
        assert ((weight - rounded).abs() <= 0.5001 * scale).all(), layer
        assert not torch.equal(weight, rounded)


def test_restoring_them_changes_what_the_twin_answers() -> None:
    train = load("digits").train.select(range(64))
    original = zoo.create("lenet", classes=10, seed=1)
    program = ptq(original, train, calibration_images=32)
    weights = float_weights(original, program)
    layer, images = layers(program)[0], to_float(train.images[:8])

    with_weight, without = restored_twin(program, layer, weights)(images), restored_twin(program, layer)(images)
    assert not torch.equal(with_weight, without)
    assert not torch.equal(without, twin(program)(images))
