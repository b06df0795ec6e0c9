"""Networks that come as files of `torch.export`, and pretrained ones out of a hub's cache."""

import copy
from importlib import import_module

import pytest
import torch
from torch import nn
from torch.export import Dim, export

from edgerift import zoo
from edgerift.errors import ModelError
from edgerift.specification import Specification

IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Last(nn.Module):
    """Takes images in the layout NHWC and answers a tuple."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, images):
        return self.inner(images.permute(0, 3, 1, 2)), images.sum((1, 2))


def network():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6)).eval()


@pytest.fixture
def exported(tmp_path):
    torch.export.save(
        export(network(), (IMAGES[:2],), dynamic_shapes=({0: Dim("batch", min=1, max=64)},)), tmp_path / "net.pt2"
    )
    return tmp_path / "net.pt2"


def test_an_exported_network_answers_as_before_and_survives_its_file(exported, tmp_path):
    found = zoo.load_file(exported, size=8, trust=True)
    assert torch.equal(found(IMAGES), network()(IMAGES))
    assert (found.architecture.name, found.architecture.classes) == ("torch.export", 6)
    zoo.save(found, tmp_path / "original.safetensors")
    exported.unlink()
    with pytest.raises(ModelError, match="may run code when it is opened; pass trust=True"):
        zoo.load(tmp_path / "original.safetensors")
    again = zoo.load(tmp_path / "original.safetensors", trust=True)
    assert torch.equal(again(IMAGES), network()(IMAGES))
    zoo.save(again, tmp_path / "second.safetensors")
    assert (tmp_path / "second.safetensors").read_bytes() == (tmp_path / "original.safetensors").read_bytes()


def test_what_was_trained_further_is_kept(exported, tmp_path):
    found = copy.deepcopy(zoo.load_file(exported, size=8, trust=True)).train()
    loss = found(IMAGES).square().sum()
    loss.backward()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter -= 0.01 * parameter.grad
    zoo.save(found.eval(), tmp_path / "trained.safetensors")
    again = zoo.load(tmp_path / "trained.safetensors", trust=True)
    assert torch.equal(again(IMAGES), found(IMAGES))
    assert not torch.equal(again(IMAGES), network()(IMAGES))


def test_a_fixed_batch_and_the_layout_are_read_off_the_file(tmp_path):
    torch.export.save(export(Last().eval(), (torch.zeros(2, 8, 8, 3),)), tmp_path / "last.pt2")
    given = Specification(output={"index": 0})
    found = zoo.load_file(tmp_path / "last.pt2", size=8, specification=given, trust=True)
    assert torch.allclose(found(IMAGES), network()(IMAGES), atol=1e-5)
    assert (found.architecture.specification.input.layout, found.architecture.specification.input.batch) == ("nhwc", 2)
    with pytest.raises(ModelError, match=r"has 2 outputs: 0 \[2, 6\], 1 \[2, 3\]; pick the scores with index=N"):
        zoo.load_file(tmp_path / "last.pt2", size=8, trust=True)


def test_a_file_for_other_images_or_of_another_kind_is_told(exported, tmp_path):
    with pytest.raises(ModelError, match="takes images of 8 x 8 pixels; pass --size 8"):
        zoo.load_file(exported, size=16, trust=True)
    with pytest.raises(ModelError, match="may run code when it is opened"):
        zoo.load_file(exported, size=8)
    exported.write_bytes(exported.read_bytes()[:-300])
    with pytest.raises(ModelError, match=r"no whole file of torch.export"):
        zoo.load_file(exported, size=8, trust=True)
    with pytest.raises(ModelError, match=r"net.h5 is no file that holds a network; known: .*\.pt2"):
        zoo.load_file(tmp_path / "net.h5")


def test_pretrained_weights_come_from_the_hubs_cache(tmp_path, monkeypatch):
    zoo.create("resnet18", 2)  # Declares what torchvision lacks beside a CPU build of PyTorch.
    models = import_module("torchvision").models
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = models.get_model_weights("squeezenet1_1").DEFAULT
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    with torch.random.fork_rng():
        own = models.squeezenet1_1().eval()
    torch.save(own.state_dict(), cache / weights.url.rpartition("/")[2])
    found = zoo.load_pretrained("torchvision:squeezenet1_1", size=32)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mean, std = (
        torch.tensor(values).reshape(3, 1, 1) for values in (weights.transforms().mean, weights.transforms().std)
    )
    with torch.no_grad():
        assert torch.equal(found(images), own((images - mean) / std))
    assert found.architecture.classes == 1000
    zoo.save(found, tmp_path / "original.safetensors")
    with torch.no_grad():
        assert torch.equal(zoo.load(tmp_path / "original.safetensors")(images), found(images))
    with pytest.raises(ModelError, match="has no pretrained weights; name torchvision:NAME or timm:NAME"):
        zoo.load_pretrained("resnet18")
