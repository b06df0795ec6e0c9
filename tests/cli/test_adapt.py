"""`edgerift adapt`: the files, the card, the store behind it, and each wrong input in one line."""

import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from edgerift import zoo
from edgerift.deploy import Program, open_build, twin, twin_scores
from edgerift.images import ImagesSettings, open_splits, to_float
from edgerift.report import Card

SMALL = ("--data", "digits", "--model", "lenet", "--size", "16", "--epochs", "2", "--adapt-epochs", "1")
RUNTIMES = ("executorch", "onnxruntime")


def test_it_writes_the_files_and_prints_the_card_alone(adapted):
    assert {path.name for path in adapted.folder.iterdir()} == {
        "original.safetensors",
        "program.safetensors",
        "model.pte",
        "model.onnx",
        "card.json",
        "recipe.json",
    }
    assert json.loads((adapted.folder / "card.json").read_text()) == adapted.card
    assert Card.model_validate(adapted.card).images == 359


def test_the_card_has_every_key_of_the_contract(adapted):
    card = adapted.card
    assert card["accuracy"].keys() == {"original", "twin", *RUNTIMES}
    assert set(RUNTIMES) <= card["quadrants"].keys()
    for name in RUNTIMES:
        assert {"equal_logits", "max_lsb", "label_disagreement"} <= card["fidelity"][name].keys()
        assert card["integer_macs"][name] > 0.99
        assert card["latency_ms"][name] > 0
        assert sum(card["quadrants"][name].values()) == 359
    suffixes = {"original": "original.safetensors", "program": "program.safetensors"}
    suffixes |= {"executorch": "model.pte", "onnxruntime": "model.onnx"}
    for name, file in suffixes.items():
        content = (adapted.folder / file).read_bytes()
        assert card["size_bytes"][name] == len(content)
        if name in RUNTIMES:
            assert card["fingerprint"][name]["sha256"] == hashlib.sha256(content).hexdigest()
            assert card["fingerprint"][name]["runtime"] == name


def test_the_files_are_what_the_card_measured(adapted):
    test = open_splits(ImagesSettings(size=16)).test
    with torch.inference_mode():
        original = zoo.load(adapted.folder / "original.safetensors")(to_float(test.images))
    program = Program.load(adapted.folder / "program.safetensors")
    answers = {
        "original": original,
        "twin": twin_scores(twin(program), test.images),
        "executorch": open_build(adapted.folder / "model.pte").predict(test.images),
        "onnxruntime": open_build(adapted.folder / "model.onnx").predict(test.images),
    }
    for name, scores in answers.items():
        right = (scores.argmax(1) == test.labels).double().mean().item()
        assert adapted.card["accuracy"][name] == pytest.approx(right), name
    assert adapted.card["provenance"]["method"] == "qat"
    assert adapted.card["provenance"]["settings"]["train"]["epochs"] == 1


def test_the_same_command_again_trains_nothing(run, adapted, tmp_path):
    again = run(*adapted.arguments, "--out", tmp_path / "again")
    told = again.err.splitlines()
    assert told == ["measure: original", "measure: twin", "measure: executorch", "measure: onnxruntime"]
    for path in adapted.folder.iterdir():
        if path.name != "card.json":
            assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
    card = again.json()
    assert card["accuracy"] == adapted.card["accuracy"]
    assert card["fingerprint"] == adapted.card["fingerprint"]


def test_a_server_build_from_a_given_original_in_words(run, adapted, tmp_path):
    original = adapted.folder / "original.safetensors"
    done = run(
        *("adapt", "--size", 16, "--original", original, "--method", "ptq", "--target", "server"),
        *("--runtime", "onnxruntime", "--out", tmp_path / "out"),
    )
    assert done.code == 0
    assert done.out.startswith("ptq for server, 359 test images of digits")
    assert "…" not in done.out
    assert "train" not in done.err
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["target"] == "server"
    assert (tmp_path / "out" / "original.safetensors").read_bytes() == original.read_bytes()
    assert f"{100 * card['accuracy']['onnxruntime']:.2f}\N{NO-BREAK SPACE}%" in done.out
    assert f"{100 * card['fidelity']['onnxruntime']['equal_logits']:.2f}\N{NO-BREAK SPACE}%" in done.out


def test_the_control_is_kept_beside_the_original(run, adapted, tmp_path):
    arguments = [value for value in adapted.arguments if value not in ("--runtime", "executorch", "onnxruntime")]
    done = run(*arguments, "--runtime", "onnxruntime", "--control", "--out", tmp_path)
    assert done.code == 0
    control = zoo.load(tmp_path / "control.safetensors")
    original = zoo.load(tmp_path / "original.safetensors")
    assert control.architecture == original.architecture
    assert not torch.equal(control.body[0].weight, original.body[0].weight)


OWN = """
import sys
import torch
from torch import nn

print("loading my network")
print("a word of warning", file=sys.stderr)

def fine(classes):
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, classes))

class Cumulated(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.linear = nn.Linear(3, classes)

    def forward(self, images):
        return self.linear(torch.cumsum(images, 2).mean((2, 3)))

def cumulated(classes):
    return Cumulated(classes)

class Branch(Cumulated):
    def forward(self, images):
        means = images.mean((2, 3))
        return self.linear(means * 2 if means.sum() > 1 else means)

def branch(classes):
    return Branch(classes)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module with networks of the user's own, which writes to the terminal when it is imported."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "own_networks.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path / "path")
    yield "own_networks"
    sys.modules.pop("own_networks", None)


def test_a_network_of_ones_own_goes_the_whole_way(run, own, tmp_path):
    out = tmp_path / "out"
    data = ("--size", 16, "--store", tmp_path / "store")
    making = (*data, "--model", f"{own}:fine", "--epochs", 1)
    trained = run("train", *making, "--out", out, "--json").json()
    method = ("--method", "ptq", "--runtime", "onnxruntime")
    card = run("adapt", *making, *method, "--out", out, "--json").json()
    assert card["accuracy"]["original"] == trained["accuracy"]
    sys.modules.pop("own_networks")
    assert run("card", out, *data).line().endswith("pass trust=True (--trust) if you know that code")
    assert "own_networks" not in sys.modules
    again = run("card", out, *data, "--trust", "--json").json()
    assert again["accuracy"] == card["accuracy"]
    given = ("adapt", *data, "--original", out / "original.safetensors", *method, "--out", tmp_path / "given")
    assert "--trust" in run(*given).line()


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        (
            "cumulated",
            "operator 'aten.cumsum.default' (node 'cumsum' in layer 'body') cannot be quantized for target",
        ),
        ("branch", "cannot be exported"),
        ("fin", "unknown factory of module own_networks 'fin'; did you mean 'fine'?"),
    ],
)
def test_a_network_that_cannot_be_adapted_is_refused_before_it_is_trained(run, own, tmp_path, factory, text):
    made = run("adapt", "--size", 16, "--model", f"{own}:{factory}", "--out", tmp_path / "out")
    assert text in made.line()
    assert not (tmp_path / "out").exists()


@pytest.fixture
def bad(tmp_path):
    """Files that are no good: a cut Parquet file, an original of 7 classes, one with NaN, one cut short."""
    from datasets import ClassLabel, Dataset, Features, Image

    folder = tmp_path / "bad"
    (folder / "parquet").mkdir(parents=True)
    pixels = torch.zeros(8, 8, 3, dtype=torch.uint8).numpy()
    features = Features({"image": Image(), "label": ClassLabel(names=["a", "b"])})
    rows = {"image": [pixels] * 20, "label": [0, 1] * 10}
    path = folder / "parquet" / "train.parquet"
    Dataset.from_dict(rows, features=features).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-200])
    zoo.save(zoo.create("lenet", 7), folder / "seven.safetensors")
    zoo.save(zoo.create("lenet", 10), folder / "ten.safetensors")
    with safe_open(folder / "ten.safetensors", "pt") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    tensors["body.3.weight"][0, 0, 0, 0] = float("nan")
    save_file(tensors, folder / "nan.safetensors", metadata)
    (folder / "cut.safetensors").write_bytes((folder / "ten.safetensors").read_bytes()[:9000])
    (folder / "file").write_text("not a folder")
    return folder


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--data", "./nothing"], "there is no image folder or .npz file './nothing'; check the path"),
        (["--data", "BAD/parquet"], "is no whole Parquet file"),
        (["--data", "digit"], "unknown image set 'digit'; did you mean 'digits'?"),
        (["--data-root", "BAD/none"], "is not a folder"),
        (["--model", "resnet9"], "unknown model 'resnet9'; did you mean 'resnet8'?"),
        (["--model", "nowhere:factory"], "module 'nowhere' of 'nowhere:factory' cannot be imported"),
        (["--original", "BAD/seven.safetensors"], "has 7 classes, the data has 10"),
        (["--original", "BAD/nan.safetensors"], "tensor 'body.3.weight' of"),
        (["--original", "BAD/cut.safetensors"], "is not a whole safetensors file"),
        (["--original", "BAD/none.safetensors"], "cannot read the original at"),
        (["--original", "BAD/ten.safetensors", "--size", "28"], "was made for images of 32 pixels"),
        (["--target", "server", "--runtime", "executorch"], "does not take target 'server'; choose onnxruntime or"),
        (["--runtime", "inductor"], "does not take target 'mobile'; choose executorch or onnxruntime"),
        (["--target", "servr"], "'servr'"),
        (["--runtime", "tensorrt"], "'tensorrt'"),
        (["--epochs", "0"], "--epochs is 0; it must be greater than 0"),
        (["--epochs", "-3"], "--epochs is -3; it must be greater than 0"),
        (["--epochs", "many"], "--epochs"),
        (["--adapt-epochs", "0"], "--adapt-epochs is 0; it must be greater than 0"),
        (["--learning-rate", "-0.1"], "--learning-rate is -0.1; it must be greater than 0"),
        (["--calibration-images", "0"], "--calibration-images is 0; it must be greater than 0"),
        (["--size", "4"], "--size is '4'; it is not allowed: height and width are from 8"),
        (["--seed", "-1"], "--seed is -1; it must be greater than or equal to 0"),
        (["--colour", "red"], "--colour"),
        (["--out", "BAD/file"], "cannot be made a folder"),
        (["--out", "BAD/file/below"], "cannot be made a folder"),
        (["--store", "BAD/file"], "BAD/file"),
    ],
)
def test_wrong_input_is_one_line(run, bad, tmp_path, arguments, text):
    given = [value.replace("BAD", str(bad)) for value in arguments]
    out = [] if "--out" in given else ["--out", tmp_path / "out"]
    if not {"--model", "--original"} & set(given):
        given += ["--model", "lenet"]
    assert text.replace("BAD", str(bad)) in run("adapt", *given, *out).line()
    assert not list((tmp_path / "out").rglob("*")), "something was written"


def test_the_folder_for_the_results_is_asked_for(run):
    assert "--out" in run("adapt").line()


@pytest.mark.parametrize(
    ("arguments", "package", "text"),
    [
        (["--runtime", "executorch"], "executorch", "runtime 'executorch' is not installed: pip install"),
        (["--runtime", "onnxruntime"], "onnxruntime", "pip install 'edgerift[onnxruntime]'"),
        (["--target", "server"], "onnxruntime", "pip install 'edgerift[onnxruntime]'"),
    ],
)
def test_a_missing_runtime_is_named_with_its_pip_line(run, monkeypatch, tmp_path, arguments, package, text):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else found(name, *rest)
    )
    assert text in run("adapt", *SMALL, *arguments, "--out", tmp_path / "out").line()
    assert not (tmp_path / "out").exists()


def test_the_mobile_quantizer_needs_executorch(run, monkeypatch, adapted, tmp_path):
    monkeypatch.setitem(sys.modules, "executorch.backends.xnnpack.quantizer.xnnpack_quantizer", None)
    original = adapted.folder / "original.safetensors"
    arguments = ("adapt", "--size", 16, "--original", original, "--runtime", "onnxruntime", "--out", tmp_path / "out")
    assert "pip install 'edgerift[executorch]'" in run(*arguments).line()
    assert not (tmp_path / "out").exists()


def test_a_result_that_was_tampered_with_is_not_trusted(run, adapted, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(adapted.store, store)
    for path in store.glob("adapt-*/recipe.json"):
        path.write_text("{}")
    arguments = [str(store) if value == str(adapted.store) else value for value in adapted.arguments]
    assert "has a recipe.json that is not its own" in run(*arguments, "--out", tmp_path / "out").line()


def test_another_process_prints_json_alone(adapted, tmp_path):
    command = [Path(sys.executable), "-m", "edgerift.cli", *adapted.arguments, "--out", tmp_path / "out"]
    if importlib.util.find_spec("edgerift.cli.__main__") is None:
        command[1:3] = ["-c", "import sys; from edgerift.cli import main; sys.exit(main())"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"] == adapted.card["accuracy"]
    assert done.stderr.splitlines() == [f"measure: {name}" for name in ("original", "twin", *RUNTIMES)]
