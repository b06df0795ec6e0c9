"""The targets of PyTorch's backends: 7 bits of activations for fbgemm, one scale for a weight for qnnpack."""

import pytest
import torch

from edgerift import errors
from edgerift.adapt import QatSettings, ptq, qat, torchao_qat
from edgerift.deploy import default_runtime, runtimes_for, trainable_twin, twin, twin_scores
from edgerift.deploy.program._grid import grid_of, is_quantize
from edgerift.deploy.twins._rounded_weights import RoundedWeight
from edgerift.train import TrainSettings

TRAIN = TrainSettings(epochs=1, batch_size=32, learning_rate=0.001, device="cpu")


@pytest.fixture(scope="module", params=["fbgemm", "qnnpack"])
def programs(request, lenet, digits):
    """The target, and its program after calibration and after training."""
    few = digits.train.select(torch.arange(64))
    settings = QatSettings(train=TRAIN, observe_epochs=1)
    return (
        request.param,
        ptq(lenet, few, target=request.param),
        qat(lenet, few, None, target=request.param, settings=settings),
    )


def grids(program):
    return [grid_of(node) for node in program.module().graph.nodes if is_quantize(node)]


def scales(program):
    return [tensor for name, tensor in program.tensors.items() if name.endswith(".scale")]


def test_activations_of_fbgemm_have_seven_bits(programs):
    target, *both = programs
    bounds = {"fbgemm": (0, 127), "qnnpack": (-128, 127)}[target]
    for program in both:
        assert {(grid.minimum, grid.maximum) for grid in grids(program)} == {bounds}


def test_a_weight_of_qnnpack_has_one_scale_and_of_fbgemm_one_for_each_channel(programs):
    target, *both = programs
    for program in both:
        assert len(scales(program)) == 5
        for own in scales(program):
            assert (len(own.unique()) == 1) == (target == "qnnpack")
        levels = [tensor for name, tensor in program.tensors.items() if name.endswith(".weight")]
        assert all(tensor.int().abs().max() >= 127 for tensor in levels)


def test_the_trained_twin_is_the_twin_of_its_program(programs, digits):
    target, calibrated, trained = programs
    if target == "qnnpack":  # Levels from -128 would be rounded on another scale.
        student = trainable_twin(trained).eval()
        assert torch.equal(twin_scores(student, digits.test.images), twin_scores(twin(trained), digits.test.images))
    assert any(not torch.equal(calibrated.tensors[name], tensor) for name, tensor in trained.tensors.items())


def test_a_whole_weight_is_rounded_on_the_largest_scale():
    weight = torch.tensor([[1.0, -2.0], [0.1, 0.3]])
    rounded = RoundedWeight(weight, torch.ones(2, 1), (-127, 127), torch.full((2,), 1e-9), whole=True)
    levels, own = rounded.integers()
    assert own.tolist() == pytest.approx([2 / 127] * 2)
    assert levels.tolist() == [[64.0, -127.0], [6.0, 19.0]]
    assert torch.allclose(rounded(), levels * own[0])
    rounded().sum().backward()
    assert torch.equal(rounded.weight.grad, torch.ones(2, 2))


def test_the_runtimes_that_take_them():
    assert (default_runtime("fbgemm"), default_runtime("qnnpack")) == ("inductor", "executorch")
    assert runtimes_for("fbgemm") == ("inductor",)
    assert {"executorch", "onnxruntime", "litert"} <= set(runtimes_for("qnnpack"))


def test_torchao_trains_for_them_too(lenet, digits):
    few = digits.train.select(torch.arange(64))
    program = torchao_qat(lenet, few, None, target="qnnpack", settings=QatSettings(train=TRAIN))
    assert all(len(own.unique()) == 1 for own in scales(program))
    program = torchao_qat(lenet, few, None, target="fbgemm", settings=QatSettings(train=TRAIN))
    assert {(grid.minimum, grid.maximum) for grid in grids(program)} == {(0, 127)}


def test_a_near_miss_is_told(lenet, digits):
    with pytest.raises(errors.RecipeError, match="did you mean 'fbgemm'"):
        ptq(lenet, digits.train, target="fbgem")
