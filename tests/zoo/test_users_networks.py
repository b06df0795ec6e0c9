"""Networks from factories of users: what they may answer, and what is told of those that go wrong."""

import pickle
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgerift import zoo
from edgerift.errors import ModelError, ProbabilitiesWarning

SOURCE = """
    import torch
    from torch import nn
    from own_layers import head

    def plain(classes):
        return nn.Sequential(nn.Flatten(), head(classes))

    def soft(classes):
        return nn.Sequential(nn.Flatten(), head(classes), nn.Softmax(1))

    def log_soft(classes):
        return nn.Sequential(nn.Flatten(), head(classes), nn.LogSoftmax(1))

    def double(classes):
        return plain(classes).double()

    def half(classes):
        return plain(classes).half()

    def broken(classes):
        return [][classes]

    def demanding(classes, width):
        return plain(classes)

    def grey(classes):
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.LazyLinear(classes))

    def large(classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 224 * 224, classes))

    def pair(classes):
        class Two(nn.Module):
            def forward(self, images):
                return images, images
        return Two()
"""
LAYERS = """
    from torch import nn

    def head(classes):
        return nn.Linear(3 * 8 * 8, classes)
"""


@pytest.fixture
def nets(tmp_path: Path) -> str:
    (tmp_path / "own_layers.py").write_text(textwrap.dedent(LAYERS))
    (tmp_path / "my nets.py").write_text(textwrap.dedent(SOURCE))
    return str(tmp_path / "my nets.py")


@pytest.mark.parametrize("kind", ["log_soft", "double", "half"])
def test_a_file_is_a_module_and_its_networks_answer_float32_logits(nets: str, kind: str) -> None:
    images = torch.rand(5, 3, 8, 8)
    plain, other = (zoo.create(f"{nets}:{name}", 4, size=8, seed=3)(images) for name in ("plain", kind))
    assert other.dtype == torch.float32
    torch.testing.assert_close(other.softmax(1), plain.softmax(1), atol=2e-3, rtol=2e-3)


def test_files_of_one_name_in_two_folders_are_two_modules(tmp_path: Path) -> None:
    source = "from torch import nn\n\nclass Net(nn.Flatten):\n    folder = {!r}\n\ndef net(classes):\n    return "
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.py").write_text(
            source.format(folder) + "nn.Sequential(Net(), nn.Linear(192, classes))"
        )
    bodies = [zoo.create(f"{tmp_path}/{folder}/own.py:net", 4, size=8).body for folder in ("first", "second")]
    assert all(isinstance(body, nn.Sequential) for body in bodies)
    for body, folder in zip(bodies, ("first", "second"), strict=True):
        layer = body[0]  # type: ignore[index]
        assert pickle.loads(pickle.dumps(layer)).folder == folder


def test_a_softmax_at_the_end_is_said_and_read_as_logits_also_from_a_file(nets: str, tmp_path: Path) -> None:
    plain = zoo.create(f"{nets}:plain", 4, size=8, seed=3)
    with pytest.warns(ProbabilitiesWarning, match="soft' answers probabilities"):
        soft = zoo.create(f"{nets}:soft", 4, size=8, seed=3)
    images = torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(soft(images), plain(images).log_softmax(1), atol=1e-5, rtol=1e-5)
    zoo.save(soft, tmp_path / "soft.safetensors")
    with pytest.raises(ModelError, match="pass trust=True"):
        zoo.load(tmp_path / "soft.safetensors")
    with pytest.warns(ProbabilitiesWarning):
        loaded = zoo.load(tmp_path / "soft.safetensors", trust=True)
    assert torch.equal(loaded(images), soft.eval()(images))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", r"broken' raised IndexError: list index out of range; edgerift calls it as factory\(4\)"),
        ("demanding", r"demanding' raised TypeError: .*'width'; edgerift calls it as factory\(4\)"),
        (
            "grey",
            r"grey' raised RuntimeError: .*channels.* calls it with normalised float32 images \[N,3,8,8\]",
        ),
        ("large", r"large' raised RuntimeError: .* edgerift calls it .*give size= \(--size\) for others"),
        ("pair", "pair' answered a tuple"),
        ("no_such", "unknown factory"),
    ],
)
def test_what_a_factory_does_wrong_is_told_in_one_line(nets: str, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        zoo.create(f"{nets}:{name}", 4, size=8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [(None, r"no file at .*own\.py .*path/file\.py:factory"), ("def (", "SyntaxError"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_file_that_cannot_be_imported_is_told_in_one_line(tmp_path: Path, source: str | None, message: str) -> None:
    if source is not None:
        (tmp_path / "own.py").write_text(source)
    before = set(sys.modules)
    with pytest.raises(ModelError, match=message) as caught:
        zoo.create(f"{tmp_path}/own.py:net", 4)
    assert "\n" not in str(caught.value)
    assert not [name for name in set(sys.modules) - before if "own" in name]


def test_a_file_is_found_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from torch import nn\n\ndef net(classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, classes))\n"
    )
    (tmp_path / "own.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    for name in ("own.py:net", "./own.py:net"):
        assert zoo.create(name, 4, size=8)(torch.zeros(1, 3, 8, 8)).shape == (1, 4)


def test_a_model_that_holds_itself_in_its_lists_is_copied() -> None:
    model = nn.Linear(3, 2)
    notes: list[object] = [torch.ones(2), model.weight * 2]
    notes.append({"notes": notes})
    model.notes = notes  # type: ignore[assignment]
    copied: Any = zoo.frozen_copy(model).notes
    assert copied[2]["notes"] is copied
    assert torch.equal(copied[1], model.weight * 2)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("compiled", [torch.jit.script, lambda model: torch.jit.trace(model, torch.rand(2, 3))])
def test_a_compiled_model_whose_weights_take_gradients_is_copied(compiled: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    made = compiled(model)
    copied = zoo.frozen_copy(made)
    values = torch.rand(4, 3)
    assert torch.equal(copied(values), model(values))
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert all(parameter.requires_grad for parameter in made.parameters())
