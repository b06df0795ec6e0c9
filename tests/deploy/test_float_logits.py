"""The head in float: the same network but for the roundings of its last steps, on every runtime."""

from dataclasses import replace

import pytest
import torch
from made_networks import layers, random_images, residual

from edgerift.deploy import RUNTIMES, Program, build, float_logits, twin, twin_scores
from edgerift.errors import QuantizationError


@pytest.fixture
def program(make_program):
    maker = make_program("mobile")
    return maker.program(layers(maker))


def feature_map(program, images):
    """Compute what enters the pooling."""
    names = [operation.name for operation in program.operations]
    pooling = next(one for one in program.operations if "adaptive_avg_pool2d" in one.operator)
    source = pooling.arguments[0]["node"]
    cut = program.operations[: names.index(source) + 1]
    return replace(program, operations=cut, output=source).module()(images.float() / 255)


def test_nothing_behind_the_last_feature_map_is_rounded(program, tmp_path):
    images = random_images(16)
    finer = float_logits(program)
    layer = program.operations[-3]
    dequantize = next(one for one in program.operations if one.name == layer.arguments[1]["node"])
    levels, scale = (program.tensors[dequantize.arguments[place]["tensor"]] for place in (0, 1))
    weight, bias = levels.double() * scale.double()[:, None], program.tensors[layer.arguments[2]["tensor"]]
    expected = feature_map(program, images).double().mean((2, 3)) @ weight.T + bias
    scores = twin_scores(twin(finer), images)
    assert torch.allclose(scores.double(), expected, atol=1e-4)
    rounding = twin_scores(twin(program), images) - scores
    assert rounding.abs().max() > program.operations[-1].arguments[1] / 2
    finer.save(tmp_path / "program.safetensors")
    loaded = Program.load(tmp_path / "program.safetensors")
    assert loaded.provenance.settings["logits"] == "float"
    assert torch.equal(twin_scores(twin(loaded), images), scores)
    assert float_logits(loaded) is loaded


@pytest.mark.parametrize("runtime", ["executorch", "onnxruntime"])
def test_runtimes_compute_the_head_in_float_and_all_else_in_integers(program, tmp_path, runtime):
    finer, images = float_logits(program), random_images(16)
    made = build(finer, runtime, tmp_path / f"model{RUNTIMES[runtime].suffix}")
    scores = twin_scores(twin(finer, RUNTIMES[runtime].arithmetic), images)
    assert torch.allclose(made.predict(images), scores, atol=1e-4)
    whole = 3 * 8 * 9 * 64 + 8 * 9 * 64 + 8 * 64 * 64
    assert made.integer_macs() == pytest.approx(whole / (whole + 64 * 40))


def test_a_network_without_a_last_linear_layer_is_refused(make_program):
    maker = make_program("mobile")
    with pytest.raises(QuantizationError, match="not made by a linear layer"):
        float_logits(maker.program(residual(maker)))
