"""Weights from other people's training scripts: what is recognised, and what is told of those that do not fit."""

import pickle
import zipfile
from collections import OrderedDict

import pytest
import safetensors.torch
import torch
from torch import nn

from edgerift import zoo
from edgerift.errors import ModelError, ModelWarning, ProbabilitiesWarning
from edgerift.specification import InputSpecification, Specification

SOURCE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes=4, side=8, channels=3):
        super().__init__()
        self.stem = nn.Conv2d(channels, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4 * side * side, classes)

    def forward(self, images):
        return self.head(self.norm(self.stem(images)).relu().flatten(1))

def create(classes):
    return Net(classes)

def fixed():
    return Net(5)

def optional(pretrained=False):
    assert pretrained is False
    return Net(4)

def named(width=1, num_classes=7):
    assert width == 1
    return Net(num_classes)

def grey(classes):
    return Net(classes, channels=1)

class Last(Net):
    def forward(self, images):
        return super().forward(images.permute(0, 3, 1, 2))

class Soft(Net):
    def forward(self, images):
        return super().forward(images).softmax(1)

class Two(Net):
    def forward(self, images):
        return {"features": images.flatten(1), "scores": super().forward(images)}

class Output:
    def __init__(self, logits):
        self.logits = logits

class Holder(Net):
    def forward(self, images):
        return Output(super().forward(images))
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "mynet.py").write_text(SOURCE, encoding="utf-8")
    return str(tmp_path / "mynet.py")


class Reference(nn.Module):
    """The network of the source above, written once more."""

    def __init__(self, classes=4, channels=3):
        super().__init__()
        self.stem = nn.Conv2d(channels, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(256, classes)

    def forward(self, images):
        return self.head(self.norm(self.stem(images)).relu().flatten(1))


def reference(classes=4, channels=3):
    with torch.random.fork_rng():
        torch.manual_seed(7)
        made = Reference(classes, channels)
        made.norm.running_mean.normal_()
    return made.eval()


IMAGES = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def wrapped(state, *prefixes):
    for prefix in prefixes:
        state = {prefix + name: value for name, value in state.items()}
    return state


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        (lambda state: state, None),
        (lambda state: OrderedDict(state), None),
        (lambda state: {"state_dict": state, "epoch": 3}, "the weights under 'state_dict' are used"),
        (lambda state: {"model": state, "optimizer": {"lr": 0.1}}, "the weights under 'model' are used"),
        (lambda state: wrapped(state, "module."), "'module.' before the name of each weight is left out"),
        (lambda state: {"model": wrapped(state, "module.", "_orig_mod.")}, "'_orig_mod.' before the name of each"),
        (lambda state: {"state_dict": wrapped(state, "net.")}, "'net.' before the name of each weight is left out"),
        (lambda state: {**wrapped(state, "module."), "n_averaged": torch.tensor(4)}, "'module.' before"),
        (
            lambda state: {"state_dict": {name: value + 1 for name, value in state.items()}, "state_dict_ema": state},
            "'state_dict_ema' are used, the moving average of the weights, not those under 'state_dict'",
        ),
        (lambda state: {name: value for name, value in state.items() if "tracked" not in name}, None),
    ],
)
def test_a_state_dict_is_found_and_the_network_answers_as_its_own(saved, told, nets, tmp_path, recwarn):
    network = reference()
    torch.save(saved(network.state_dict()), tmp_path / "net.pt")
    found = zoo.load_weights(tmp_path / "net.pt", f"{nets}:create", size=8, trust=True)
    assert torch.equal(found(IMAGES), network(IMAGES))
    assert (found.architecture.name, found.architecture.classes) == (f"{nets}:create", 4)
    assert not found.training
    notes = [str(warning.message) for warning in recwarn if warning.category is ModelWarning]
    assert len(notes) == (0 if told is None else len(notes))
    assert told is None or any(told in note for note in notes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_numbers_become_float32(dtype, nets, tmp_path):
    state = {name: value.to(dtype) for name, value in reference().state_dict().items() if "tracked" not in name}
    safetensors.torch.save_file(state, tmp_path / "net.safetensors")
    if dtype == torch.float64:
        found = zoo.load_weights(tmp_path / "net.safetensors", f"{nets}:create", size=8, trust=True)
    else:
        with pytest.warns(ModelWarning, match="are converted to float32"):
            found = zoo.load_weights(tmp_path / "net.safetensors", f"{nets}:create", size=8, trust=True)
    expected = reference()
    expected.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    assert torch.equal(found(IMAGES), expected(IMAGES))


@pytest.mark.parametrize(
    ("factory", "classes"), [("create", 9), ("Net", 9), ("named", 9), ("fixed", 5), ("optional", 4)]
)
def test_the_number_of_classes_is_that_of_the_weights(factory, classes, nets, tmp_path):
    torch.save(reference(classes).state_dict(), tmp_path / "net.pt")
    found = zoo.load_weights(tmp_path / "net.pt", f"{nets}:{factory}", size=8, trust=True)
    assert found.architecture.classes == classes
    assert torch.equal(found(IMAGES), reference(classes)(IMAGES))


@pytest.mark.parametrize(
    ("factory", "given", "expected"),
    [
        ("Net", {"input": {"mean": "imagenet", "std": "imagenet"}}, None),
        ("Last", {"input": {"layout": "nhwc"}}, lambda images: reference()(images)),
        ("Two", {"output": {"name": "scores"}}, lambda images: reference()(images)),
        ("Two", {"output": {"index": 1}}, lambda images: reference()(images)),
        ("Holder", {}, lambda images: reference()(images)),
        ("Net", {"output": {"background": "first"}}, lambda images: reference()(images)[:, 1:]),
        ("Soft", {"output": {"kind": "probabilities"}}, lambda images: reference()(images).softmax(1).log()),
    ],
)
def test_a_specification_is_kept_with_the_classifier(factory, given, expected, nets, tmp_path):
    torch.save(reference().state_dict(), tmp_path / "net.pt")
    meant = Specification(**given)
    found = zoo.load_weights(tmp_path / "net.pt", f"{nets}:{factory}", size=8, specification=meant, trust=True)
    wanted = reference()(meant.input.prepare(IMAGES)) if expected is None else expected(IMAGES)
    torch.testing.assert_close(found(IMAGES), wanted)
    assert found.architecture.classes == wanted.shape[1]
    zoo.save(found, tmp_path / "original.safetensors")
    again = zoo.load(tmp_path / "original.safetensors", trust=True)
    assert torch.equal(again(IMAGES), found(IMAGES))
    assert again.architecture == found.architecture
    with pytest.raises(ModelError, match="pass trust=True"):
        zoo.load(tmp_path / "original.safetensors")


def test_one_channel_networks_take_grey(nets, tmp_path):
    torch.save(reference(channels=1).state_dict(), tmp_path / "net.pt")
    with pytest.raises(ModelError, match="it answers with --input channels=grey"):
        zoo.load_weights(tmp_path / "net.pt", f"{nets}:grey", size=8, trust=True)
    given = Specification(input=InputSpecification(channels="grey"))
    found = zoo.load_weights(tmp_path / "net.pt", f"{nets}:grey", size=8, specification=given, trust=True)
    assert torch.equal(found(IMAGES[:, :1]), reference(channels=1)(IMAGES[:, :1]))
    with pytest.raises(ModelError, match="3 channels and the model takes greyscale images"):
        found(IMAGES)


def test_probabilities_are_recognised(nets, tmp_path):
    torch.save(reference().state_dict(), tmp_path / "net.pt")
    with pytest.warns(ProbabilitiesWarning):
        found = zoo.load_weights(tmp_path / "net.pt", f"{nets}:Soft", size=8, trust=True)
    assert found.architecture.specification.output.kind == "probabilities"
    torch.testing.assert_close(found(IMAGES).softmax(1), reference()(IMAGES).softmax(1))


@pytest.mark.parametrize(
    ("factory", "told"),
    [
        ("Last", "it answers with --input layout=nhwc"),
        ("Two", "has 2 outputs: features [8, 192], scores [8, 4]; pick the scores with index=N or output.name=NAME"),
    ],
)
def test_a_network_that_does_not_answer_is_told_with_what_would(factory, told, nets, tmp_path):
    torch.save(reference().state_dict(), tmp_path / "net.pt")
    with pytest.raises(ModelError) as caught:
        zoo.load_weights(tmp_path / "net.pt", f"{nets}:{factory}", size=8, trust=True)
    assert told in str(caught.value)


class Evil:
    """A pickle that would run code."""

    def __reduce__(self):
        return print, ("run",)


def nested(depth):
    return {"model": nested(depth - 1)} if depth else {}


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda state: without(state, "head.bias"), "1 of 9 weights are missing, such as 'head.bias'"),
        (
            lambda state: {**without(state, "head.weight"), "heads.weight": state["head.weight"]},
            "1 of 9 weights are missing, such as 'head.weight' (it has 'heads.weight'); 1 are unknown",
        ),
        (lambda state: {**state, "extra": torch.zeros(1)}, "1 are unknown, such as 'extra'"),
        (
            lambda state: {**state, "stem.weight": torch.zeros(4, 3, 5, 5)},
            "'stem.weight' is [4, 3, 5, 5] and [4, 3, 3, 3] in the architecture",
        ),
        (lambda state: {**state, "head.bias": torch.full((4,), torch.nan)}, "tensor 'head.bias' of"),
        (
            lambda state: {**state, "head.weight": state["head.weight"].to(torch.int8)},
            "'head.weight' holds torch.int8 and torch.float32 in the architecture",
        ),
        (lambda state: {**state, "head.bias": torch.zeros(1).expand(10**9)}, "are far larger than the file"),
        (lambda state: {**state, "head.bias": torch.zeros(4).to_sparse()}, "a tensor of another kind than weights"),
        (lambda state: {"state_dict": nested(9)}, "holds its weights too deep inside other things"),
        (lambda state: {"epoch": 3}, "holds no weights by name"),
        (lambda state: [1, 2], "holds a list; torch.save(model.state_dict(), 'weights.pt')"),
        (lambda state: Reference(), "holds more than weights, such as a whole model, and opening it could run code"),
        (lambda state: {"state_dict": state, "hook": Evil()}, "holds more than weights"),
    ],
)
def test_a_file_that_does_not_fit_is_told_in_one_line(content, told, nets, tmp_path):
    torch.save(content(reference().state_dict()), tmp_path / "net.pt")
    with pytest.raises(ModelError) as caught:
        zoo.load_weights(tmp_path / "net.pt", f"{nets}:create", size=8, trust=True)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("net.pt", lambda whole: whole[:-200], "is not a whole file of PyTorch"),
        ("net.pt", lambda whole: whole[:10], "is not a whole file of PyTorch"),
        ("net.pt", lambda whole: b"", "is no file of PyTorch"),
        ("net.pth", lambda whole: b"just text\n", "no file of PyTorch"),
        ("net.pt", lambda whole: pickle.dumps(Evil()), "holds more than weights"),
        ("net.safetensors", lambda whole: whole, "is not a whole safetensors file"),
    ],
)
def test_a_damaged_file_is_told(name, content, told, nets, tmp_path, capsys):
    torch.save(reference().state_dict(), tmp_path / "whole.pt")
    (tmp_path / name).write_bytes(content((tmp_path / "whole.pt").read_bytes()))
    with pytest.raises(ModelError) as caught:
        zoo.load_weights(tmp_path / name, f"{nets}:create", size=8, trust=True)
    assert told in str(caught.value)
    assert capsys.readouterr().out == ""


def test_a_compressed_archive_is_not_unpacked(nets, tmp_path):
    torch.save(reference().state_dict(), tmp_path / "whole.pt")
    with zipfile.ZipFile(tmp_path / "whole.pt") as whole, zipfile.ZipFile(tmp_path / "net.pt", "w") as packed:
        for entry in whole.infolist():
            packed.writestr(entry.filename, whole.read(entry), zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelError, match="is a compressed archive, which PyTorch does not write"):
        zoo.load_weights(tmp_path / "net.pt", f"{nets}:create", size=8, trust=True)


def test_a_missing_file_and_code_without_trust_are_refused(nets, tmp_path):
    with pytest.raises(ModelError, match="cannot read the weights"):
        zoo.load_weights(tmp_path / "none.pt", f"{nets}:create", trust=True)
    with pytest.raises(ModelError, match="is your own code; pass trust=True"):
        zoo.load_weights(tmp_path / "none.pt", f"{nets}:create")


def test_weights_alone_are_no_original(tmp_path):
    safetensors.torch.save_file(reference().state_dict(), tmp_path / "net.safetensors")
    torch.save(reference().state_dict(), tmp_path / "net.pt")
    for name in ("net.safetensors", "net.pt"):
        with pytest.raises(ModelError, match=r"name their architecture: --model NAME|without their architecture"):
            zoo.load(tmp_path / name)
        assert not zoo.is_original(tmp_path / name) or name.endswith("safetensors")
