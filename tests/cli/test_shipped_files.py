"""The files that people ship, at the command line: audited, replayed and inspected; each wrong one in one line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic
from quantized_files import CLASSES, SIZE, float_file, images, quantized_file

from edgerift.deploy import open_build

_UNSIGNED = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float file, int8 files of it, and images with the labels that the float file gives them."""
    folder = tmp_path_factory.mktemp("files")
    float_file(folder / "float.onnx", spread=True)
    quantized_file(folder / "float.onnx", folder / "int8.onnx", **_UNSIGNED)
    quantized_file(folder / "float.onnx", folder / "default.onnx")
    quantize_dynamic(str(folder / "float.onnx"), str(folder / "dynamic.onnx"))
    drawn = images(400)
    labels = open_build(folder / "float.onnx").predict(drawn).argmax(1)
    assert len(labels.unique()) == CLASSES
    np.savez(folder / "images.npz", images=drawn[:, 0].numpy(), labels=labels.numpy())
    return folder


def audited(run: Any, files: Path, out: Path, build: str, *more: Any) -> dict[str, Any]:
    """Audit the float file and a build of it on a few images; returns the document."""
    data = ("--data", files / "images.npz", "--size", SIZE, "--images", 12, "--steps", 8, "--threats", "evasion")
    outcome = run("audit", "--original", files / "float.onnx", "--build", files / build, *data, *more, "--out", out)
    assert outcome.code in (0, 1), outcome.err
    document: dict[str, Any] = json.loads((out / "audit.json").read_text())
    return document


@pytest.mark.parametrize("build", ["int8.onnx", "default.onnx", "dynamic.onnx"])
def test_a_pair_of_files_is_audited_with_the_twin_of_its_own_file(
    run: Any, files: Path, tmp_path: Path, build: str
) -> None:
    document = audited(run, files, tmp_path, build, "--attack", "default")
    pair, evasion = document["pair"], document["evasion"]

    assert (pair["gradients"], pair["target"], pair["program_sha256"]) == ("file", None, None)
    assert (pair["original_file"], pair["build_file"]) == ("float.onnx", build)
    assert evasion["fidelity_attacked"]["label_disagreement"] == 0
    flags = {flag["name"]: flag for flag in (*pair["flags"], *evasion["flags"])}
    assert flags["pair-build"]["level"] == "ok"
    assert flags["build-accuracy"]["level"] == "ok"
    assert flags["repeat"]["level"] == "ok"
    assert evasion["findings"]
    found = tmp_path / "findings" / f"{evasion['findings'][0]['id']}.json"
    assert run("replay", found).code == 0
    page = (tmp_path / "report.html").read_text()
    assert "made from its own file" in page
    assert f"float.onnx on images, {build} of another tool on onnxruntime" in page


def test_a_build_without_a_twin_is_attacked_through_its_answers(run: Any, files: Path, tmp_path: Path) -> None:
    model = onnx.load(files / "int8.onnx")
    model.graph.node.append(onnx.helper.make_node("Shrink", ["scores"], ["unit"], name="thrifty", lambd=0.0))
    model.graph.output[0].name = "unit"
    shutil.copytree(files, tmp_path / "files")
    onnx.save(model, tmp_path / "files" / "unit.onnx")

    document = audited(run, tmp_path / "files", tmp_path / "out", "unit.onnx", "--attack", "default")

    assert document["pair"]["gradients"] == "answers"
    flags = {flag["name"]: flag for flag in document["pair"]["flags"]}
    assert flags["pair-build"]["level"] == "warning"
    assert "Shrink 'thrifty'" in flags["pair-build"]["seen"]
    assert document["evasion"]["fidelity_clean"] is None


def test_two_float_files_are_a_pair_and_it_is_said(run: Any, files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path / "files")
    float_file(tmp_path / "files" / "tuned.onnx", spread=True, seed=0)
    document = audited(run, tmp_path / "files", tmp_path / "out", "tuned.onnx", "--attack", "default")
    flags = {flag["name"]: flag for flag in document["pair"]["flags"]}
    assert flags["integer-kernels"]["level"] == "note"
    assert "it is a float model" in flags["integer-kernels"]["seen"]
    assert document["evasion"]["findings"] == []  # It is the same network.


def test_inspect_says_what_a_file_is(run: Any, files: Path) -> None:
    found = run("inspect", files / "int8.onnx", "--json").json()
    assert found["specification"]["input"]["channels"] == "grey"
    assert found["extents"] == [1, SIZE, SIZE]
    assert found["integer_macs"] == 1
    assert (found["no_twin"], found["equal_logits"]) == ("", 1)
    assert found["operators"]["QLinearConv"] == 3
    assert "one at a time" in run("inspect", files / "dynamic.onnx").out


def test_a_card_compares_two_files(run: Any, files: Path) -> None:
    data = ("--data", files / "images.npz", "--size", SIZE)
    card = run("card", "--original", files / "float.onnx", "--build", files / "int8.onnx", *data, "--json").json()
    assert card["accuracy"]["original"] == 1
    assert card["fidelity"]["onnxruntime"]["equal_logits"] == 1
    assert card["target"] is None


def _truncated(folder: Path) -> Path:
    path = folder / "cut.onnx"
    path.write_bytes((folder / "int8.onnx").read_bytes()[:-300])
    return path


def _companionless(folder: Path) -> Path:
    path = folder / "split.onnx"
    onnx.save(onnx.load(folder / "int8.onnx"), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    (folder / "w.bin").unlink()
    return path


def _two_inputs(folder: Path) -> Path:
    model = onnx.load(folder / "int8.onnx")
    model.graph.input.append(onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.FLOAT, [1]))
    onnx.save(model, folder / "masked.onnx")
    return folder / "masked.onnx"


def _two_outputs(folder: Path) -> Path:
    model = onnx.load(folder / "float.onnx")
    model.graph.output.append(onnx.helper.make_tensor_value_info("f", onnx.TensorProto.FLOAT, None))
    onnx.save(model, folder / "both.onnx")
    return folder / "both.onnx"


WRONG = {
    "truncated": (_truncated, (), "cut.onnx"),
    "companion": (_companionless, (), "copy it beside the model"),
    "inputs": (_two_inputs, (), r"masked\.onnx has 2 inputs"),
    "outputs": (_two_outputs, (), "has 2 outputs: scores .*, f "),
    "normalisation": (lambda folder: folder / "int8.onnx", ("--build-input", "scale=1"), "the accuracy is"),
    "layout": (lambda folder: folder / "int8.onnx", ("--build-input", "layout=nhwc"), r"takes images \[1, 12, 12\]"),
    "field": (lambda folder: folder / "int8.onnx", ("--build-input", "layot=nhwc"), "did you mean 'layout'"),
    "original": (lambda folder: folder / "none.onnx", (), "no build at"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_line_and_nothing_is_written(run: Any, files: Path, tmp_path: Path, name: str) -> None:
    make, more, told = WRONG[name]
    folder, out = tmp_path / "files", tmp_path / "out"
    shutil.copytree(files, folder)
    data = ("--data", folder / "images.npz", "--size", SIZE, "--images", 5, "--threats", "evasion")

    outcome = run("audit", "--original", folder / "float.onnx", "--build", make(folder), *data, *more, "--out", out)

    assert outcome.code == 2, outcome.out + outcome.err
    last = outcome.err.splitlines()[-1]
    assert last.startswith("edgerift: ")
    assert "Traceback" not in outcome.err
    assert "internal error" not in outcome.err
    assert re.search(told, last), last
    assert not [*out.glob("*.json"), *out.glob("*.html")]
