"""`edgerift train`, `card` and `doctor`."""

import errno
import importlib.util
import json
import os
import shutil

import pytest
import torch

from edgerift import zoo
from edgerift.images import ImagesSettings, open_splits, to_float


@pytest.fixture
def few():
    return ("--data", "digits", "--model", "lenet", "--size", "16", "--epochs", "2", "--learning-rate", "0.1")


def test_train_writes_the_original_and_says_how_accurate_it_is(run, few, tmp_path):
    out, store = tmp_path / "out", tmp_path / "store"
    done = run("train", *few, "--out", out, "--store", store, "--json")
    result = done.json()
    assert {path.name for path in out.iterdir()} == {"original.safetensors", "history.json", "history.png"}
    assert [line.split(":")[1] for line in done.err.splitlines()] == [" epoch 1/2", " epoch 2/2"]
    test = open_splits(ImagesSettings(size=16)).test
    with torch.inference_mode():
        answers = zoo.load(out / "original.safetensors")(to_float(test.images)).argmax(1)
    assert result["accuracy"] == pytest.approx((answers == test.labels).double().mean().item())
    assert result["images"] == len(test)
    low, high = result["accuracy_interval"]
    assert low < result["accuracy"] < high
    assert len(json.loads((out / "history.json").read_text())["epochs"]) == 2
    assert result["original"] == str(out / "original.safetensors")
    assert (store / f"train-{result['recipe']}").is_dir()

    again = run("train", *few, "--out", tmp_path / "again", "--store", store)
    assert (again.code, again.err) == (0, "")
    assert f"{100 * result['accuracy']:.1f} %" in again.out
    assert (tmp_path / "again" / "original.safetensors").read_bytes() == (out / "original.safetensors").read_bytes()


def test_train_and_adapt_share_the_original(run, few, adapted, tmp_path):
    done = run("train", *few, "--store", adapted.store, "--out", tmp_path)
    assert (done.code, done.err) == (0, "")
    original = (tmp_path / "original.safetensors").read_bytes()
    assert original == (adapted.folder / "original.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (15, 0.2, 64)),
        ({"epochs": 1}, (1, 0.2, 64)),
        ({"learning_rate": 0.3, "batch_size": 5}, (15, 0.3, 5)),
        ({"model": "lenet"}, (30, 0.05, 128)),
        ({"model": "lenet", "epochs": 1}, (1, 0.05, 128)),
    ],
)
def test_an_original_is_trained_as_given_or_as_suits_its_images(given, expected):
    from edgerift.cli._options import DataOptions
    from edgerift.cli._train import OriginalOptions, train_recipe

    settings = train_recipe(DataOptions(size=16).images(), OriginalOptions(**given)).settings
    assert (settings.epochs, settings.learning_rate, settings.batch_size) == expected


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--model", "lennet"], "unknown model 'lennet'; did you mean 'lenet'?"),
        (["--epochs", "0"], "--epochs is 0; it must be greater than 0"),
        (["--data", "/no/such/folder"], "'/no/such/folder'; check the path"),
        (["--stem", "imagenet"], "'lenet' only has the small stem"),
        (["--learning-rate", "1e9", "--epochs", "1"], "loss"),
    ],
)
def test_train_words_wrong_input_in_one_line(run, few, tmp_path, arguments, text):
    done = run("train", *few, *arguments, "--out", tmp_path / "out")
    assert text in done.line()
    assert not list((tmp_path / "out").rglob("*"))


def test_card_measures_again(run, adapted, tmp_path):
    folder = tmp_path / "copied"
    shutil.copytree(adapted.folder, folder)
    (folder / "model.onnx").unlink()
    card = run("card", folder, "--size", 16, "--json").json()
    assert card == json.loads((folder / "card.json").read_text())
    assert card["accuracy"].keys() == {"original", "twin", "executorch"}
    for name, value in card["accuracy"].items():
        assert value == adapted.card["accuracy"][name]
    assert card["provenance"] == adapted.card["provenance"]
    text = run("card", folder, "--size", 16)
    assert text.code == 0
    assert text.out.startswith("qat for mobile, 359 test images of digits")


def test_card_takes_the_seed_that_drew_the_test_images(run, adapted, tmp_path):
    folder = tmp_path / "copied"
    shutil.copytree(adapted.folder, folder)
    other = run("card", folder, "--size", 16, "--seed", 1, "--json").json()
    assert other["accuracy"] != {name: adapted.card["accuracy"][name] for name in other["accuracy"]}
    # Without --seed it is the one in the folder's card, which is now that of the measurement before.
    again = run("card", folder, "--size", 16, "--json").json()
    assert (again["seed"], again["accuracy"]) == (1, other["accuracy"])
    (folder / "card.json").unlink()
    assert "pass --seed" in run("card", folder, "--size", 16).line()


@pytest.mark.parametrize(
    ("change", "arguments", "text"),
    [
        (lambda folder: shutil.rmtree(folder), ["--size", 16], "no folder"),
        (lambda folder: [path.unlink() for path in folder.glob("model.*")], ["--size", 16], "no model.pte, model.onnx"),
        (lambda folder: (folder / "program.safetensors").unlink(), ["--size", 16], "no program file at"),
        (lambda folder: (folder / "model.pte").write_bytes(b"PTE"), ["--size", 16], "cannot load"),
        (lambda folder: (folder / "model.pt2").write_bytes(b"code"), ["--size", 16], "--trust"),
        (lambda folder: None, [], "was made for images of 16 pixels, the images are resized to 32; pass --size 16"),
    ],
)
def test_card_words_wrong_input_in_one_line(run, adapted, tmp_path, change, arguments, text):
    folder = tmp_path / "copied"
    shutil.copytree(adapted.folder, folder)
    change(folder)
    assert text in run("card", folder, *arguments).line()


def findings(run):
    return {finding["name"]: finding for finding in run("doctor", "--json").json()["findings"]}


def test_doctor_says_what_works(run, monkeypatch):
    found = findings(run)
    assert {"runtime executorch", "runtime onnxruntime", "runtime inductor", "CUDA", "store"} <= found.keys()
    assert found["CUDA"]["works"] == torch.cuda.is_available()
    assert found["torch"]["detail"].startswith(torch.__version__)
    text = run("doctor")
    assert text.code == 0
    for name in found:
        assert name in text.out
    spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "onnxruntime" else spec(name))
    missing = findings(run)["runtime onnxruntime"]
    assert not missing["works"]
    assert "pip install 'edgerift[onnxruntime]'" in missing["detail"]


@pytest.mark.parametrize("kind", ["file", "below a file", "read-only"])
def test_doctor_tries_whether_the_store_can_be_written(run, tmp_path, monkeypatch, kind):
    root = tmp_path / "place" / "below" if kind == "below a file" else tmp_path / "place"
    monkeypatch.setenv("EDGERIFT_STORE", str(root))
    assert findings(run)["store"] == {"name": "store", "works": True, "detail": str(root)}
    assert not (tmp_path / "place").exists()
    if kind == "read-only":
        (tmp_path / "place").mkdir()

        def refuse(*_, **__):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr(os, "mkdir", refuse)
    else:
        (tmp_path / "place").write_text("")
    found = findings(run)["store"]
    assert not found["works"]
    assert "EDGERIFT_STORE names another folder" in found["detail"]
    assert "\n" not in found["detail"]


def test_doctor_looks_for_a_compiler(run, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    found = findings(run)
    assert not found["C++ compiler"]["works"]
    assert "g++" in found["runtime inductor"]["detail"]


def test_doctor_tells_where_the_store_is(run, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGERIFT_STORE", str(tmp_path / "kept"))
    found = findings(run)["store"]
    assert (found["works"], found["detail"]) == (True, str(tmp_path / "kept"))
