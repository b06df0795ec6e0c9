import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from edgerift import errors, zoo


@pytest.fixture
def model() -> zoo.Classifier:
    return zoo.create("resnet8", classes=4, seed=5, mean=(0.1, 0.2, 0.3))


def rewritten(path: Path, changes: dict[str, torch.Tensor | None], **metadata: str) -> None:
    with safetensors.safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        kept = file.metadata()
    tensors = {name: tensor for name, tensor in {**tensors, **changes}.items() if tensor is not None}
    path.write_bytes(safetensors.torch.save(tensors, {**kept, **metadata}))


def test_round_trip_keeps_every_bit_and_the_architecture(model: zoo.Classifier, tmp_path: Path) -> None:
    model(torch.rand(8, 3, 32, 32))  # moves the batch norm statistics
    zoo.save(model.to(memory_format=torch.channels_last), tmp_path / "original.safetensors")
    again = zoo.load(tmp_path / "original.safetensors")
    assert not again.training
    assert again.architecture == model.architecture
    assert again.state_dict().keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_same_weights_same_bytes_and_aligned(model: zoo.Classifier, tmp_path: Path) -> None:
    for name in "abcdef":
        zoo.save(model, tmp_path / name)
    assert len({(tmp_path / name).read_bytes() for name in "abcdef"}) == 1
    data = (tmp_path / "a").read_bytes()
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    metadata = json.loads(data[8 : 8 + length])["__metadata__"]
    assert metadata["format"] == "edgerift-original-1"
    assert json.loads(metadata["architecture"])["name"] == "resnet8"


def test_a_pretrained_architecture_loads_without_downloading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    small = zoo.create("shufflenet_v2", classes=3, stem="imagenet")
    pretrained = zoo.Classifier(small.body, small.architecture.replace(pretrained=True))
    zoo.save(pretrained, tmp_path / "m")
    assert zoo.load(tmp_path / "m").architecture.pretrained


HEAD = "body.8.weight"


@pytest.mark.parametrize(
    ("changes", "metadata", "message"),
    [
        ({HEAD: torch.full((4, 64), torch.nan)}, {}, rf"tensor '{HEAD}' of .* NaN or infinity"),
        ({HEAD: torch.full((4, 64), torch.inf)}, {}, rf"tensor '{HEAD}' of .* NaN or infinity"),
        ({HEAD: torch.zeros(5, 64)}, {}, rf"tensor '{HEAD}' as \(\(5, 64\).*\(\(4, 64\)"),
        ({HEAD: torch.zeros(4, 64).half()}, {}, rf"tensor '{HEAD}' as .*float16"),
        ({HEAD: None}, {}, rf"lacks tensor '{HEAD}'"),
        ({"body.9.weight": torch.zeros(1)}, {}, r"has unknown tensor 'body\.9\.weight'"),
        (
            {},
            {"format": "edgerift-original-0"},
            "has format 'edgerift-original-0', expected 'edgerift-original-1'",
        ),
        (
            {},
            {"architecture": '{"name": "resnet8"}'},
            "description that is not allowed: .*classes is missing",
        ),
        ({HEAD: torch.zeros(5, 64), "body.8.bias": torch.zeros(5)}, {}, "no tensor of 4 rows, one for each class"),
        ({}, {"architecture": '{"name": "resnet8", "classes": 90000}'}, "no tensor of 90000 rows, one for each class"),
        ({}, {"architecture": '{"name": "resnet8", "classes": 10000000}'}, "classes is 10000000; it must be less than"),
        (
            {},
            {"architecture": '{"name": "resnet8", "classes": 4, "size": 100000}'},
            "size is 100000; it is not allowed: height and",
        ),
        ({}, {"architecture": "[" * 5000}, "description that is not allowed: .*not JSON"),
        ({}, {"format": "a\nb" * 100}, r"has format 'a\\nb"),
        ({}, {"architecture": '{"name": "resnet9", "classes": 4}'}, "did you mean 'resnet8'"),
    ],
)
def test_a_file_that_does_not_fit(
    model: zoo.Classifier,
    tmp_path: Path,
    changes: dict[str, torch.Tensor | None],
    metadata: dict[str, str],
    message: str,
) -> None:
    path = tmp_path / "original.safetensors"
    zoo.save(model, path)
    rewritten(path, changes, **metadata)
    with pytest.raises(errors.ModelError, match=message) as caught:
        zoo.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 4, 100, 50_000])
def test_a_truncated_file(model: zoo.Classifier, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "original.safetensors"
    zoo.save(model, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(errors.ModelError, match="not a whole safetensors file"):
        zoo.load(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelError, match="no model file at"):
        zoo.load(tmp_path / "nothing.safetensors")


def test_weights_that_are_not_finite_are_not_written(model: zoo.Classifier, tmp_path: Path) -> None:
    with torch.no_grad():
        model.body[0].weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(errors.ModelError, match=r"tensor 'body\.0\.weight' of model 'resnet8'"):
        zoo.save(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_users_own_architecture_needs_trust(users_nets: None, tmp_path: Path) -> None:
    model = zoo.create("users_nets:fine", classes=3)
    zoo.save(model, tmp_path / "m")
    with pytest.raises(errors.ModelError, match=r"run 'users_nets:fine'; pass trust=True \(--trust\)"):
        zoo.load(tmp_path / "m")
    again = zoo.load(tmp_path / "m", trust=True)
    assert torch.equal(again.body[1].weight, model.body[1].weight)
