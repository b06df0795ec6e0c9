"""The files that people ship, at the command line: audited, replayed and inspected; each wrong one in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
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
    assert "gradients were estimated from its answers" in (tmp_path / "out" / "report.html").read_text()


def test_two_float_files_are_a_pair_and_it_is_said(run: Any, files: Path, tmp_path: Path) -> None:
    shutil.copytree(files, tmp_path / "files")
    float_file(tmp_path / "files" / "tuned.onnx", spread=True, seed=0)
    document = audited(run, tmp_path / "files", tmp_path / "out", "tuned.onnx", "--attack", "default")
    flags = {flag["name"]: flag for flag in document["pair"]["flags"]}
    assert flags["integer-kernels"]["level"] == "note"
    assert "it computes in float" in flags["integer-kernels"]["seen"]
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


def _given(name: str) -> Callable[[Path], Path]:
    return lambda folder: folder / name


def _untranslated(folder: Path) -> Path:
    model = onnx.load(folder / "float.onnx")
    model.graph.node.append(onnx.helper.make_node("Shrink", ["scores"], ["unit"], name="thrifty", lambd=0.0))
    model.graph.output[0].name = "unit"
    onnx.save(model, folder / "unit.onnx")
    return folder / "unit.onnx"


def _weights(folder: Path) -> Path:
    torch.save(torch.nn.Linear(3, 4).state_dict(), folder / "net.pt")
    return folder / "net.pt"


WRONG = {
    "truncated": (_truncated, (), "cut.onnx"),
    "companion": (_companionless, (), "copy it beside the model"),
    "inputs": (_two_inputs, (), r"masked\.onnx has 2 inputs"),
    "outputs": (_two_outputs, (), r"both\.onnx has 2 outputs: scores .*, f .*output\.name=NAME"),
    "normalisation": (_given("int8.onnx"), ("--build-input", "scale=1"), "the accuracy is"),
    "layout": (
        _given("int8.onnx"),
        ("--build-input", "layout=nhwc"),
        r"int8\.onnx takes images \[1, 12, 12\]; got \[12, 12, 1\]: .*--build-input",
    ),
    "type": (_given("int8.onnx"), ("--build-input", "dtype=uint8"), r"int8\.onnx refused uint8 images .*--build-input"),
    "field": (_given("int8.onnx"), ("--build-input", "layot=nhwc"), "did you mean 'layout'"),
    "input": (_given("int8.onnx"), ("--build-input", "name=pixel"), "int8.onnx: unknown input 'pixel'; .* 'pixels'"),
    "output": (_given("int8.onnx"), ("--build-input", "output.name=score"), "unknown output 'score'; .* 'scores'"),
    "runtime": (
        _given("int8.onnx"),
        ("--runtime", "executorch"),
        "is a file of runtime onnxruntime, not of executorch",
    ),
    "name": (_given("int8.onx"), (), r"no build at .*int8\.onx; did you mean .*int8\.onnx\?"),
    "folder": (lambda folder: folder, (), "which is a folder"),
    "weights": (_weights, (), "weights are an original, not a build: give them with --original"),
}
ORIGINALS = {
    "truncated": (_truncated, (), r"cut\.onnx is no whole ONNX model .* export it again"),
    "companion": (_companionless, (), "copy it beside the model"),
    "outputs": (_two_outputs, (), r"both\.onnx is no original: it has 2 outputs: scores, f; .*output\.name=NAME"),
    "operator": (
        _untranslated,
        (),
        r"unit\.onnx is no original: the operator Shrink 'thrifty' has no translation.*--model",
    ),
    "input": (_given("float.onnx"), ("--input", "name=pixel"), r"float\.onnx: unknown input 'pixel'; .* 'pixels'"),
    "layout": (_given("float.onnx"), ("--input", "layout=nhwc"), r"float\.onnx raised .* it answers with --input"),
    "name": (_given("flot.onnx"), (), r"no model at .*flot\.onnx; did you mean .*float\.onnx\?"),
    "weights": (_weights, (), "holds weights without their architecture"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_line_and_nothing_is_written(run: Any, files: Path, tmp_path: Path, name: str) -> None:
    make, more, told = WRONG[name]
    folder, out = tmp_path / "files", tmp_path / "out"
    shutil.copytree(files, folder)
    data = ("--data", folder / "images.npz", "--size", SIZE, "--images", 5, "--threats", "evasion")

    outcome = run("audit", "--original", folder / "float.onnx", "--build", make(folder), *data, *more, "--out", out)

    assert re.search(told, outcome.line())
    assert not out.exists()


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_wrong_original_is_one_line_and_nothing_is_written(run: Any, files: Path, tmp_path: Path, name: str) -> None:
    make, more, told = ORIGINALS[name]
    folder, out = tmp_path / "files", tmp_path / "out"
    shutil.copytree(files, folder)
    data = ("--data", folder / "images.npz", "--size", SIZE, "--images", 5, "--threats", "evasion")

    outcome = run("audit", "--original", make(folder), "--build", folder / "int8.onnx", *data, *more, "--out", out)

    assert re.search(told, outcome.line())
    assert not out.exists()


@pytest.mark.parametrize("verb", ["card", "extract", "defend"])
def test_a_victim_that_is_fed_wrongly_is_told_with_what_it_needs(
    run: Any, files: Path, tmp_path: Path, verb: str
) -> None:
    given = ("--build", files / "int8.onnx", "--build-input", "scale=1", "--data", files / "images.npz", "--size", SIZE)
    more = ("--original", files / "float.onnx") if verb == "card" else ("--out", tmp_path / "out")
    line = run(verb, *given, *more).line()
    assert re.search(
        r"int8\.onnx hardly knows these images, but with channels=grey .*; give it with --build-input", line
    )
    assert not (tmp_path / "out").exists()


def test_images_that_the_files_are_not_for_are_told_with_their_names(run: Any, files: Path, tmp_path: Path) -> None:
    colour = images(20, 3).permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "colour.npz", images=colour, labels=np.arange(20) % CLASSES)
    np.savez(tmp_path / "seven.npz", images=colour[..., 0], labels=np.arange(20) % 7)
    pair = ("--original", files / "float.onnx", "--build", files / "int8.onnx", "--size", SIZE)
    told = "takes greyscale images, and those of colour are in colour; convert them to greyscale files"
    assert f"model 'float.onnx' {told}" in run("audit", *pair, "--data", tmp_path / "colour.npz").line()
    assert "model takes greyscale images, 1 channel; convert the images" in (
        run("defend", *pair[2:], "--data", tmp_path / "colour.npz", "--out", tmp_path / "out").line()
    )
    assert "model 'float.onnx' has 5 classes, the data has 7; give the --data" in (
        run("audit", *pair, "--data", tmp_path / "seven.npz").line()
    )
