"""The float control: the same training without rounding."""

import copy

import pytest
import torch

from edgerift import errors, zoo
from edgerift.adapt import QatSettings, finetune, run_finetune
from edgerift.train import TrainSettings, run

SETTINGS = TrainSettings(epochs=1, batch_size=32, learning_rate=0.01, device="cpu")


def test_it_is_a_plain_training_of_a_copy(original, calibration):
    control = finetune(original, calibration, None, settings=SETTINGS)
    reference = copy.deepcopy(original)
    run(reference, calibration, None, SETTINGS)
    assert isinstance(control, zoo.Classifier)
    assert not control.training
    for name, tensor in control.state_dict().items():
        assert torch.equal(tensor, reference.state_dict()[name]), name
    assert not torch.equal(control.body[8].weight, original.body[8].weight)


def test_it_takes_as_long_as_qat_unless_told_otherwise(original, calibration):
    trained = run_finetune(original, calibration, calibration, settings=SETTINGS.replace(epochs=2))
    assert len(trained.history.epochs) == 2
    assert QatSettings().train.epochs == 3


def test_frozen_parameters_are_trained(trained, calibration):
    model = copy.deepcopy(trained).requires_grad_(False)
    control = finetune(model, calibration, None, settings=SETTINGS)
    assert not torch.equal(control.body[8].weight, trained.body[8].weight)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_other_classes_are_refused(calibration):
    with pytest.raises(errors.ModelError, match="'lenet' has 7 classes, the data has 10"):
        finetune(zoo.create("lenet", 7), calibration, None, settings=SETTINGS)
