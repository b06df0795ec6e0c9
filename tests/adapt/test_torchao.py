"""torchao's own training, the reference: it gives programs, and the training of the twin is not worse."""

import statistics

import pytest
import torch

from edgerift import errors, images, train, zoo
from edgerift.adapt import QatSettings, qat, torchao_qat
from edgerift.deploy import twin, twin_scores
from edgerift.images import to_float
from edgerift.measure import accuracy
from edgerift.train import TrainSettings


def check(original, calibration, target, layers):
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    training = TrainSettings(epochs=1, batch_size=32, learning_rate=0.001, device="cpu")
    program = torchao_qat(original, calibration, None, target=target, settings=QatSettings(train=training))
    assert (program.provenance.method, program.target, program.shape) == ("torchao-qat", target, (3, 32, 32))
    assert len([tensor for tensor in program.tensors.values() if tensor.dtype == torch.int8]) == layers
    with torch.inference_mode():
        graph = program.module()(to_float(calibration.images))
        expected = original(to_float(calibration.images))
    assert torch.equal(twin_scores(twin(program), calibration.images), graph)
    assert (graph.argmax(1) == expected.argmax(1)).float().mean() > 0.5
    assert all(torch.equal(tensor, before[name]) for name, tensor in original.state_dict().items())


@pytest.mark.parametrize("target", ["mobile", "server"])
def test_it_gives_a_program(lenet, calibration, target):
    check(lenet, calibration, target, 5)


@pytest.mark.slow  # torchao takes ten seconds to find the normalisations.
@pytest.mark.parametrize("target", ["mobile", "server"])
def test_it_gives_a_program_of_a_network_with_normalisations(original, calibration, target):
    check(original, calibration, target, 10)


def test_an_unknown_target_is_refused(original, calibration):
    with pytest.raises(errors.RecipeError, match="did you mean 'mobile'"):
        torchao_qat(original, calibration, None, target="mobil")


@pytest.mark.slow
def test_training_the_twin_is_not_worse_over_three_seeds():
    """Compare the mean test accuracy on digits over three seeds, each with an original of its own.

    Both start from the same float resnet8 (15 epochs) and train for 3 epochs with the ranges frozen after the second.
    torchao gets the better of the learning rates 0.001 and 0.01 and the twin keeps its default of 0.001; the twin may
    be at most one point behind.
    """
    ours: list[float] = []
    theirs: dict[float, list[float]] = {0.001: [], 0.01: []}
    for seed in range(3):
        splits = images.load("digits", size=32, seed=seed)
        fitted = TrainSettings(epochs=15, seed=seed, device="cpu")
        original = train.fit(zoo.create("resnet8", 10, seed=seed), splits.train, None, settings=fitted)

        def measured(program, test=splits.test):
            return accuracy(twin_scores(twin(program), test.images), test.labels).value

        settings = QatSettings(train=QatSettings().train.replace(seed=seed, device="cpu"))
        ours.append(measured(qat(original, splits.train, None, settings=settings)))
        for rate, found in theirs.items():
            trained = settings.replace(train=settings.train.replace(learning_rate=rate))
            found.append(measured(torchao_qat(original, splits.train, None, settings=trained)))
    best = max(statistics.mean(found) for found in theirs.values())
    assert statistics.mean(ours) >= best - 0.01, (ours, theirs)
