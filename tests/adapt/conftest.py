"""One small original and its programs, made once for all tests of `adapt`."""

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import torch
from torch import nn

from edgerift import images, train, zoo
from edgerift.adapt import QatSettings, ptq, run_qat
from edgerift.deploy import Program
from edgerift.images import ImageSet, Splits
from edgerift.train import History, TrainSettings


class Quantized(NamedTuple):
    program: Program
    history: History


@pytest.fixture(scope="session", autouse=True)
def quiet_imports() -> None:
    """Import torchao once; its import warns about accelerators that are not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchao.quantization.pt2e  # noqa: F401


@pytest.fixture(scope="session")
def digits(session_folders: None) -> Splits:
    """320 training and 200 test images."""
    whole = images.load("digits", size=32)
    return Splits(whole.train.select(torch.arange(320)), whole.test.select(torch.arange(200)))


@pytest.fixture(scope="session")
def trained(digits: Splits) -> zoo.Classifier:
    settings = TrainSettings(epochs=4, batch_size=32, learning_rate=0.1, device="cpu")
    return train.fit(zoo.create("resnet8", classes=10), digits.train, None, settings=settings)


@pytest.fixture(scope="session")
def lenet(digits: Splits) -> zoo.Classifier:
    """An original that trains and exports quickly."""
    settings = TrainSettings(epochs=12, batch_size=32, learning_rate=0.05, device="cpu")
    return train.fit(zoo.create("lenet", classes=10), digits.train, None, settings=settings)


@pytest.fixture(scope="session")
def settings() -> QatSettings:
    """Three epochs of ten steps; the grids are frozen after the second."""
    training = TrainSettings(epochs=3, batch_size=32, learning_rate=0.01, device="cpu")
    return QatSettings(train=training, observe_epochs=2)


@pytest.fixture
def original(trained: zoo.Classifier) -> Iterator[zoo.Classifier]:
    """The trained original; a test that changes it, or an adaptation that does, fails."""
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    modes = [module.training for module in trained.modules()]
    gradients = [parameter.requires_grad for parameter in trained.parameters()]
    yield trained
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert [module.training for module in trained.modules()] == modes
    assert [parameter.requires_grad for parameter in trained.parameters()] == gradients


@pytest.fixture(scope="session")
def ptq_program(trained: zoo.Classifier, digits: Splits) -> Program:
    return ptq(trained, digits.train)


@pytest.fixture(scope="session")
def qat_result(trained: zoo.Classifier, digits: Splits, settings: QatSettings) -> Quantized:
    return Quantized(*run_qat(trained, digits.train, digits.test, target="mobile", settings=settings))


@pytest.fixture(scope="session")
def calibration(digits: Splits) -> ImageSet:
    return digits.train.select(torch.arange(40))


def normalisation(channels: int, seed: int = 0, **options: bool) -> nn.BatchNorm2d:
    """Make a batch normalisation that has seen something: no figure of it is 0 or 1, some slopes are negative."""
    draws = torch.Generator().manual_seed(seed)
    layer = nn.BatchNorm2d(channels, **options)
    with torch.no_grad():
        for name, tensor in layer.state_dict().items():
            if name == "running_var":
                tensor.copy_(torch.rand(channels, generator=draws) + 0.2)
            elif tensor.dim():
                tensor.copy_(torch.randn(channels, generator=draws))
    return layer.eval()


@pytest.fixture(scope="session")
def make_normalisation():
    return normalisation
