"""The targets of PyTorch's backends: 7 bits of activations for fbgemm, one scale for a weight for qnnpack."""

import pytest
import torch
from torch import nn

from edgerift import errors, images
from edgerift.adapt import QatSettings, ptq, qat, torchao_qat
from edgerift.deploy import RUNTIMES, build, default_runtime, fidelity, runtimes_for, trainable_twin, twin, twin_scores
from edgerift.train import TrainSettings

TRAIN = TrainSettings(epochs=1, batch_size=32, learning_rate=0.01, device="cpu", augment=False)
SETTINGS = QatSettings(train=TRAIN, observe_epochs=1)


@pytest.fixture(scope="module")
def few(session_folders):
    return images.load("digits", size=8).train.select(torch.arange(64))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(6 * 3 * 3, 10)).eval()


@pytest.fixture(scope="module", params=["fbgemm", "qnnpack"])
def programs(request, network, few):
    """The target, and its program after calibration and after training."""
    target = request.param
    return target, ptq(network, few, target=target), qat(network, few, None, target=target, settings=SETTINGS)


def bounds_of(program):
    """The least and the greatest level of each activation."""
    nodes = [node for node in program.module().graph.nodes if "quantize_per_tensor" in str(node.target)]
    return {node.args[3:5] for node in nodes if "dequantize" not in str(node.target)}


def scales(program):
    return [tensor for name, tensor in program.tensors.items() if name.endswith(".scale")]


def test_activations_of_fbgemm_have_seven_bits(programs):
    target, *both = programs
    bounds = {"fbgemm": (0, 127), "qnnpack": (-128, 127)}[target]
    for program in both:
        assert bounds_of(program) == {bounds}


def test_a_weight_of_qnnpack_has_one_scale_and_of_fbgemm_one_for_each_channel(programs):
    target, *both = programs
    for program in both:
        assert len(scales(program)) == 3
        for own in scales(program):
            assert (len(own.unique()) == 1) == (target == "qnnpack")
        levels = [tensor for name, tensor in program.tensors.items() if name.endswith(".weight")]
        assert all(tensor.int().abs().max() >= 127 for tensor in levels)


def test_the_trained_twin_is_the_twin_of_its_program(programs, few):
    target, calibrated, trained = programs
    if target == "qnnpack":  # Levels from -128 would be rounded on another scale.
        student = trainable_twin(trained).eval()
        assert torch.equal(twin_scores(student, few.images), twin_scores(twin(trained), few.images))
    assert any(not torch.equal(calibrated.tensors[name], tensor) for name, tensor in trained.tensors.items())


def test_the_runtimes_that_take_them():
    assert (default_runtime("fbgemm"), default_runtime("qnnpack")) == ("inductor", "executorch")
    assert runtimes_for("fbgemm") == ("inductor",)
    assert {"executorch", "onnxruntime", "litert"} <= set(runtimes_for("qnnpack"))


@pytest.mark.parametrize(
    ("runtime", "arithmetic"),
    [pytest.param("executorch", "xnnpack", marks=pytest.mark.slow), ("onnxruntime", "onnxruntime")],
)
def test_builds_of_whole_weights_compute_what_their_twins_do(programs, few, tmp_path, runtime, arithmetic):
    target, _, trained = programs
    if target != "qnnpack":
        pytest.skip("these runtimes have no grid of 7 bits")
    made = build(trained, runtime, tmp_path / f"model{RUNTIMES[runtime].suffix}")
    assert torch.equal(made.predict(few.images), twin_scores(twin(trained, arithmetic), few.images))


@pytest.mark.slow  # The package is compiled.
@pytest.mark.skipif(RUNTIMES["inductor"].missing() is not None, reason="there is no C++ compiler")
def test_a_build_of_seven_bits_computes_what_its_twin_does(programs, few, tmp_path):
    target, _, trained = programs
    if target != "fbgemm":
        pytest.skip("its runtimes are tried above")
    compared = fidelity(trained, build(trained, "inductor", tmp_path / "model.pt2"), few.images)
    assert compared.label_disagreement == 0.0
    assert compared.max_lsb < 0.02 * float(twin_scores(twin(trained), few.images).std())


@pytest.mark.slow
def test_torchao_trains_for_them_too(network, few):
    program = torchao_qat(network, few, None, target="qnnpack", settings=SETTINGS)
    assert all(len(own.unique()) == 1 for own in scales(program))
    program = torchao_qat(network, few, None, target="fbgemm", settings=SETTINGS)
    assert bounds_of(program) == {(0, 127)}


def test_a_near_miss_is_told(network, few):
    with pytest.raises(errors.RecipeError, match="did you mean 'fbgemm'"):
        ptq(network, few, target="fbgem")
