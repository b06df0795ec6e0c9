"""Architectures of torchvision and timm by name, with the weights that their own code saved."""

import sys
from importlib import import_module
from itertools import pairwise

import pytest
import torch

from edgerift import zoo
from edgerift.errors import MissingRuntimeError, ModelError, ModelWarning

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def torchvision_models():
    zoo.create("resnet18", 2)  # Declares what torchvision lacks beside a CPU build of PyTorch.
    return import_module("torchvision").models


def saved(network, path):
    torch.save(network.state_dict(), path)
    return network.eval()


def test_a_network_of_torchvision_is_the_one_its_weights_are_of(tmp_path):
    network = saved(torchvision_models().squeezenet1_1(num_classes=7), tmp_path / "net.pth")
    found = zoo.load_weights(tmp_path / "net.pth", "torchvision:squeezenet1_1", size=32)
    assert found.architecture.classes == 7
    with torch.no_grad():
        assert torch.equal(found(IMAGES), network(IMAGES))
    zoo.save(found, tmp_path / "original.safetensors")
    with torch.no_grad():
        assert torch.equal(zoo.load(tmp_path / "original.safetensors")(IMAGES), network(IMAGES))


def test_the_stem_is_the_one_that_the_weights_fit(tmp_path):
    network = saved(torchvision_models().resnet18(num_classes=3), tmp_path / "net.pth")
    with pytest.warns(ModelWarning, match="the weights are those of the imagenet stem"):
        found = zoo.load_weights(tmp_path / "net.pth", "resnet18")
    with torch.no_grad():
        assert torch.equal(found(IMAGES), network(IMAGES))
    assert found.architecture.stem == "imagenet"


def test_weights_of_another_network_are_told(tmp_path):
    saved(torchvision_models().squeezenet1_1(num_classes=7), tmp_path / "net.pth")
    with pytest.raises(ModelError, match="does not fit 'torchvision:squeezenet1_0': "):
        zoo.load_weights(tmp_path / "net.pth", "torchvision:squeezenet1_0")
    with pytest.raises(ModelError, match="does not fit 'resnet34_8x': "):
        zoo.load_weights(tmp_path / "net.pth", "resnet34_8x")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("torchvision:resnet19", "unknown torchvision model 'resnet19'; did you mean 'resnet18'?"),
        ("squeezenet1_1", "unknown model 'squeezenet1_1'; did you mean 'torchvision:squeezenet1_1'?"),
        ("resnet9", "unknown model 'resnet9'; did you mean 'resnet8'?"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(name, told):
    with pytest.raises(ModelError) as caught:
        zoo.create(name, 10)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_network_of_timm_is_the_one_its_weights_are_of(tmp_path):
    timm = pytest.importorskip("timm")
    network = saved(timm.create_model("mobilenetv3_small_050", num_classes=6), tmp_path / "net.pth")
    found = zoo.load_weights(tmp_path / "net.pth", "timm:mobilenetv3_small_050")
    assert found.architecture.classes == 6
    with torch.no_grad():
        assert torch.equal(found(IMAGES), network(IMAGES))
    with pytest.raises(ModelError, match="unknown timm model 'mobilenetv3_smal_050'; did you mean 'mobilenetv3_sm"):
        zoo.create("timm:mobilenetv3_smal_050", 10)


def test_the_first_mobilenet_is_timms():
    """Howard et al. 2017, table 1: a stem of 32 channels, 13 depthwise separable convolutions, and a linear layer."""
    pytest.importorskip("timm")
    widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
    blocks = sum(9 * one + 2 * one + one * other + 2 * other for one, other in pairwise(widths))
    for classes in (10, 1000):
        model = zoo.create("timm:mobilenetv1_100", classes=classes, stem="imagenet")
        counted = sum(parameter.numel() for parameter in model.parameters())
        assert counted == 3 * 32 * 9 + 2 * 32 + blocks + classes * 1025
    assert counted == 4_231_976
    with torch.no_grad():
        assert zoo.create("timm:mobilenetv1_100", classes=10).eval()(IMAGES).shape == (2, 10)


def test_transformers_of_timm_take_the_size_of_the_images(tmp_path):
    timm = pytest.importorskip("timm")
    network = saved(timm.create_model("test_vit", num_classes=6, img_size=32), tmp_path / "net.pth")
    found = zoo.load_weights(tmp_path / "net.pth", "timm:test_vit", size=32)
    with torch.no_grad():
        assert torch.equal(found(IMAGES), network(IMAGES))


def test_without_timm_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingRuntimeError, match=r"pip install 'edgerift\[timm\]'"):
        zoo.create("timm:resnet18", 10)
