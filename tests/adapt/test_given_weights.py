"""Originals from weights as steps: their keys, what the store keeps, and what tells that they are misread."""

import hashlib
import json
from importlib import import_module
from pathlib import Path

import mynet
import pytest
import torch

from edgerift import images, zoo
from edgerift.adapt import GivenOriginal, given_original, misread, open_original
from edgerift.deploy import twin_scores
from edgerift.errors import ModelError
from edgerift.images import ImagesSettings, in_channels, to_float
from edgerift.measure import Rate, accuracy
from edgerift.settings import canonical_json
from edgerift.specification import Specification, spelled
from edgerift.steps import Store, silent

FACTORY = f"{Path(mynet.__file__)}:Levels"
LEVELS = Specification(input={"scale": 1})


@pytest.fixture(scope="module")
def splits():
    return images.open_splits(ImagesSettings(size=12))


@pytest.fixture(scope="module")
def weights(splits, tmp_path_factory):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return mynet.trained(splits.train, tmp_path_factory.mktemp("w") / "net.pt", mynet.Levels(), 255, 0)


def test_an_original_of_edgerift_keeps_its_key(tmp_path):
    zoo.save(zoo.create("lenet", 3, size=12), tmp_path / "original.safetensors")
    digest = hashlib.sha256((tmp_path / "original.safetensors").read_bytes()).hexdigest()
    given = given_original(tmp_path / "original.safetensors")
    assert canonical_json(given) == f'{{"sha256":"{digest}","type":"given-original","version":1}}'


def test_weights_become_an_original_in_the_store(weights, tmp_path):
    given = given_original(weights, model=FACTORY, size=12, specification=LEVELS, trust=True)
    store = Store(tmp_path)
    found = open_original(given, store, silent)
    network = mynet.Levels().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    pixels = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found(pixels), network(pixels * 255))
    again = GivenOriginal.model_validate(json.loads(canonical_json(given)))
    assert again.digest() == given.digest()
    assert torch.equal(open_original(again.replace(trust=True), store, silent)(pixels), found(pixels))
    assert given.digest() != given_original(weights, model=FACTORY, size=12, trust=True).digest()


def test_weights_that_changed_are_refused(weights, tmp_path):
    moved = tmp_path / "net.pt"
    moved.write_bytes(weights.read_bytes())
    given = given_original(moved, model=FACTORY, size=12, specification=LEVELS, trust=True)
    torch.save(mynet.Net().state_dict(), moved)
    with pytest.raises(ModelError, match="has changed since it was named"):
        Store(tmp_path / "store").get(given, silent)


def test_a_wrong_specification_is_found_out(weights, splits):
    def loaded(specification):
        return zoo.load_weights(weights, FACTORY, size=12, specification=specification, trust=True)

    assert misread(loaded(LEVELS), splits.validation) is None
    found = misread(loaded(Specification()), splits.validation)
    assert found is not None
    assert spelled(found.specification) == "scale=1"
    network = mynet.Levels().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    asked = torch.linspace(0, len(splits.validation) - 1, found.accuracy.trials).long()
    chosen = splits.validation.select(asked)
    right = network(to_float(in_channels(chosen.images, 3)) * 255).argmax(1) == chosen.labels
    assert found.accuracy.successes == int(right.sum())
    assert misread(zoo.create("lenet", 10, size=12), splits.validation) is None


def test_an_original_far_below_the_other_model_is_looked_into(splits, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weights = mynet.trained(splits.train, tmp_path / "net.pt", mynet.Net(), 4, -2)
    factory = f"{Path(mynet.__file__)}:Net"
    found = zoo.load_weights(weights, factory, size=12, specification=Specification(input={"scale": 0.01}), trust=True)
    reached = accuracy(twin_scores(found, splits.validation.images), splits.validation.labels)
    assert misread(found, splits.validation) is None
    assert misread(found, splits.validation, reached) is None
    explained = misread(found, splits.validation, Rate(140, 144))
    assert explained is not None
    assert explained.accuracy.value > reached.value + 0.2


def test_weights_that_know_nothing_are_not_explained(splits, tmp_path):
    torch.save(mynet.Levels().state_dict(), tmp_path / "net.pt")
    found = zoo.load_weights(tmp_path / "net.pt", FACTORY, size=12, trust=True)
    assert misread(found, splits.validation) is None


def test_a_librarys_pretrained_network_is_an_original(tmp_path, monkeypatch):
    zoo.create("resnet18", 2)  # Declares what torchvision lacks beside a CPU build of PyTorch.
    models = import_module("torchvision").models
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = models.get_model_weights("squeezenet1_1").DEFAULT.url
    cached = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    cached.parent.mkdir(parents=True)
    torch.save(models.squeezenet1_1().state_dict(), cached)
    name = "torchvision:squeezenet1_1"
    given = given_original(Path(name), model=name, size=32)
    found = open_original(given, Store(tmp_path / "store"), silent)
    assert found.architecture.name == name
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(found(pixels), zoo.load_pretrained(name, size=32)(pixels))
    torch.save(models.squeezenet1_1().state_dict(), cached)
    with pytest.raises(ModelError, match="has changed since it was named"):
        Store(tmp_path / "other").get(given, silent)
