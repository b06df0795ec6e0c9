import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgerift import errors, zoo

QUICK = ("densenet_tiny", "lenet", "mobilenet_tiny", "resnet8", "shufflenet_v2")
ALL = zoo.names()
# Published counts of torchvision's models for 1000 classes (their `num_params`); resnet8's is MLPerf Tiny's
# 78,186 without the 240 biases in front of batch norms; LeNet-5's counted by hand for three channels.
PARAMETERS_IMAGENET = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "densenet121": 7_978_856,
    "mobilenet_v2": 3_504_872,
    "shufflenet_v2": 2_278_604,
}
# A 3x3 stem has 64 * 3 * (49 - 9) weights less than a 7x7 one; each class less takes a row of the head with
# it.
STEM_LESS = {"resnet18": 7680, "resnet34": 7680, "resnet50": 7680, "densenet121": 7680}
HEAD_WIDTH = {
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "densenet121": 1024,
    "mobilenet_v2": 1280,
    "shufflenet_v2": 1024,
}
# A convolution without bias has in * out * k * k weights, a batch norm two a channel.
MOBILENET_TINY = (
    (3 * 16 * 9 + 32)
    + sum(9 * i + 2 * i + i * o + 2 * o for i, o in ((16, 32), (32, 64), (64, 64), (64, 128), (128, 128)))
    + 10 * 129
)
LENET = 6 * 76 + 16 * 151 + 120 * 401 + 84 * 121 + 10 * 85


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def densenet_tiny() -> int:
    """Count DenseNet-BC by its recursion: 3 blocks of 3 layers, growth 12, halved between the blocks."""
    total, channels = 3 * 24 * 9 + 2 * 24, 24
    for block in range(3):
        for _ in range(3):
            total += 2 * channels + channels * 48 + 2 * 48 + 48 * 12 * 9
            channels += 12
        if block < 2:
            total += 2 * channels + channels * (channels // 2)
            channels //= 2
    return total + 2 * channels + 10 * (channels + 1)


def resnet8(width: int) -> int:
    """Count a stem, three basic blocks, of which two project their input, and a head for ten classes."""
    widths = [(width, width), (width, 2 * width), (2 * width, 4 * width)]
    blocks = sum(9 * i * o + 9 * o * o + 4 * o + (i * o + o if i != o else 0) for i, o in widths)
    return 27 * width + 2 * width + blocks + 10 * (4 * width + 1)


def test_the_count_by_hand_is_the_published_one() -> None:
    assert resnet8(16) == 78_186 - 240


def state_equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("name", ALL)
def test_small_stem_shapes_and_parameter_counts(name: str) -> None:
    model = zoo.create(name, classes=10).eval()
    with torch.no_grad():
        assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    published = "resnet34" if name == "resnet34_8x" else name
    own = {
        "resnet8": resnet8(16),
        "resnet8_narrow": resnet8(8),
        "resnet8_wide": resnet8(32),
        "lenet": LENET,
        "mobilenet_tiny": MOBILENET_TINY,
        "densenet_tiny": densenet_tiny(),
    }
    expected = own.get(name) or (
        PARAMETERS_IMAGENET[published] - STEM_LESS.get(published, 0) - 990 * (HEAD_WIDTH[published] + 1)
    )
    assert parameters(model) == expected


@pytest.mark.parametrize("name", PARAMETERS_IMAGENET)
def test_imagenet_stem_is_torchvisions(name: str) -> None:
    model = zoo.create(name, classes=1000, stem="imagenet", size=64)
    assert parameters(model) == PARAMETERS_IMAGENET[name]


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("resnet8", 8),
        ("resnet18", 4),
        ("resnet34_8x", 4),
        ("densenet121", 4),
        ("mobilenet_v2", 4),
        ("shufflenet_v2", 4),
    ],
)
def test_small_stem_keeps_the_features_large(name: str, side: int) -> None:
    model = zoo.create(name, classes=10).eval()
    sizes = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, output: sizes.append(output.shape[-1]))
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    assert sizes[0] == 32
    assert sizes[-1] == side


@pytest.mark.parametrize("size", [12, 16, 28, 32, 40])
def test_lenet_takes_its_size(size: int) -> None:
    assert zoo.create("lenet", classes=4, size=size)(torch.rand(2, 3, size, size)).shape == (2, 4)


def test_lenet_of_28_and_of_32_pixels_have_the_same_parameters() -> None:
    assert state_equal(zoo.create("lenet", 10, size=28), zoo.create("lenet", 10, size=32))


def test_normalisation_puts_grey_levels_on_an_int8_grid() -> None:
    levels = torch.arange(256, dtype=torch.float32).reshape(1, 1, 1, 256).expand(1, 3, 1, 256) / 255
    grid = zoo.create("lenet", classes=2).normalise(levels) * 127.5
    torch.testing.assert_close(grid[0, 1, 0], torch.arange(-128.0, 128.0), atol=1e-4, rtol=0)


def test_normalisation_is_applied_before_the_body_and_per_channel() -> None:
    model = zoo.create("lenet", classes=3, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)).eval()
    images = torch.rand(2, 3, 32, 32)
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 1.0, 2.0])
    by_hand = ((images.permute(0, 2, 3, 1) - mean) / std).permute(0, 3, 1, 2)
    assert torch.equal(model(images), model.body(by_hand))


def test_residual_block_of_resnet8_against_its_formula() -> None:
    block = zoo.create("resnet8", classes=10).body[4].eval()
    features = torch.randn(2, 16, 8, 8)
    inner = nn.functional.conv2d(features, block.conv1.weight, stride=2, padding=1) / (1 + 1e-5) ** 0.5
    inner = nn.functional.conv2d(inner.relu(), block.conv2.weight, padding=1) / (1 + 1e-5) ** 0.5
    shortcut = nn.functional.conv2d(features, block.shortcut.weight, block.shortcut.bias, stride=2)
    torch.testing.assert_close(block(features), (inner + shortcut).relu())


@pytest.mark.parametrize("name", QUICK)
def test_seed_decides_the_weights_and_the_global_state_stays(name: str) -> None:
    before = torch.get_rng_state()
    first, again, other = (zoo.create(name, classes=5, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    assert state_equal(first, again)
    assert not state_equal(first, other)


def exports(name: str) -> None:
    model = zoo.create(name, classes=10).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    images = torch.rand(4, 3, 32, 32)
    program = torch.export.export(model, (images,), dynamic_shapes=({0: batch},))
    more = torch.rand(3, 3, 32, 32)
    torch.testing.assert_close(program.module()(more), model(more), atol=1e-5, rtol=1e-5)
    names = [str(node.target) for node in program.graph.nodes]
    assert "aten.sub.Tensor" in names
    assert "aten.div.Tensor" in names


@pytest.mark.parametrize("name", ["lenet", "resnet8"])
def test_exports_with_a_dynamic_batch(name: str) -> None:
    exports(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ALL if name not in ("lenet", "resnet8")])
def test_large_ones_export_with_a_dynamic_batch(name: str) -> None:
    exports(name)


def test_unknown_name_has_a_near_match() -> None:
    with pytest.raises(errors.ModelError, match=r"unknown model 'resnet9'; did you mean 'resnet8'\?.*factory"):
        zoo.create("resnet9", classes=10)


@pytest.mark.parametrize(
    ("name", "fields", "error", "message"),
    [
        ("resnet8", {"stem": "imagenet"}, errors.ModelError, "only has the small stem"),
        ("resnet34_8x", {"stem": "imagenet"}, errors.ModelError, "use 'resnet34' for stem='imagenet'"),
        ("resnet18", {"pretrained": True}, errors.RecipeError, "set stem='imagenet'"),
        ("lenet", {"size": 8}, errors.ModelError, "at least 12 pixels"),
        ("lenet", {"size": 4}, errors.RecipeError, r"Architecture\.size is 4"),
        ("lenet", {"std": (0.5, 0.0, 0.5)}, errors.RecipeError, r"std\[1\] is 0\.0"),
        ("lenet", {"pretraind": True}, errors.RecipeError, "did you mean 'pretrained'"),
        ("edgerift_no_such:net", {}, errors.ModelError, "module 'edgerift_no_such' .* cannot be imported"),
        (":net", {}, errors.ModelError, "write module:factory"),
        ("users_nets:fine", {"stem": "imagenet"}, errors.ModelError, "leave out stem and pretrained"),
        ("users_nets:fin", {}, errors.ModelError, "unknown factory .* did you mean 'fine'"),
        ("users_nets:number", {}, errors.ModelError, "is a int; it has to be a function"),
        ("users_nets:text", {}, errors.ModelError, "answered a str"),
        ("users_nets:narrow", {}, errors.ModelError, r"answers \[1, 2\] for one image.*\[1, 10\]"),
    ],
)
def test_what_cannot_be_made(
    users_nets: None, name: str, fields: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        zoo.create(name, classes=10, **fields)
    assert "\n" not in str(caught.value)


def test_a_single_class_is_refused() -> None:
    with pytest.raises(errors.RecipeError, match="classes is 1"):
        zoo.create("lenet", classes=1)


def test_users_own_factory(users_nets: None) -> None:
    model = zoo.create("users_nets:fine", classes=7, seed=1)
    assert model.training
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    assert state_equal(model, zoo.create("users_nets:fine", classes=7, seed=1))


def test_check_compares_class_counts() -> None:
    model = zoo.create("lenet", classes=10)
    zoo.check(model, 10)
    zoo.check(nn.Linear(2, 3), 10)
    with pytest.raises(errors.ModelError, match="has 10 classes, the data has 43; create it with classes=43"):
        zoo.check(model, 43)


def test_pretrained_weights_are_kept_and_the_head_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    donor = zoo.create("shufflenet_v2", classes=1000, stem="imagenet", seed=9).body
    downloads = tmp_path / "hub" / "checkpoints"
    downloads.mkdir(parents=True)
    torch.save(donor.state_dict(), downloads / "shufflenetv2_x1-5666bf0f80.pth")
    fields = {"stem": "imagenet", "pretrained": True}
    whole = zoo.create("shufflenet_v2", classes=1000, **fields)
    assert state_equal(whole.body, donor)
    assert whole.architecture.mean == (0.485, 0.456, 0.406)
    tuned = zoo.create("shufflenet_v2", classes=3, **fields, mean=(0.5, 0.5, 0.5))
    assert tuned.architecture.mean == (0.5, 0.5, 0.5)
    assert tuned.body.fc.weight.shape == (3, 1024)
    assert torch.equal(tuned.body.conv5[0].weight, donor.conv5[0].weight)


@pytest.mark.parametrize(
    ("name", "head"), [("squeezenet1_1", "classifier.1"), ("mnasnet0_5", "classifier.1"), ("regnet_y_400mf", "fc")]
)
def test_a_librarys_pretrained_network_has_a_new_head_too(
    name: str, head: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    donor = zoo.create(f"torchvision:{name}", classes=1000, seed=9).body
    url = import_module("torchvision").models.get_model_weights(name).DEFAULT.url
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(donor.state_dict(), tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2])
    fields = {"stem": "imagenet", "pretrained": True}
    assert state_equal(zoo.create(f"torchvision:{name}", classes=1000, **fields).body, donor)
    tuned = zoo.create(f"torchvision:{name}", classes=3, **fields).eval()
    assert tuned(torch.rand(2, 3, 64, 64)).shape == (2, 3)
    kept = {key: value for key, value in tuned.body.state_dict().items() if not key.startswith(f"{head}.")}
    assert len(kept) in (len(donor.state_dict()) - 1, len(donor.state_dict()) - 2)
    assert all(torch.equal(value, donor.state_dict()[key]) for key, value in kept.items())


def test_pretrained_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Tensor:
        raise OSError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    with pytest.raises(errors.ModelError, match=r"not be downloaded \(no route to host\).*pretrained=False"):
        zoo.create("resnet18", classes=10, stem="imagenet", pretrained=True)


def test_torchvision_imports_with_warnings_as_errors_in_a_fresh_process() -> None:
    program = (
        "import edgerift.zoo, sys; assert 'torchvision' not in sys.modules;"
        "from edgerift.zoo.architectures._torchvision import import_torchvision as get;"
        "assert get() is get() is sys.modules['torchvision']; get().models.resnet18;"
        "import torchvision.transforms.v2"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)
