"""Sets of kernels at the command line: one file, run by each of them."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_networks import layers, random_images, residual
from PIL import Image
from program_maker import ProgramMaker

from edgerift.cli import main
from edgerift.deploy import build, open_build, quiet

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with quiet():
        import torchao.quantization.pt2e  # noqa: F401
    path = tmp_path_factory.mktemp("kernels") / "model.tflite"
    maker = ProgramMaker()
    build(maker.program(residual(maker)), "litert", path)
    return path


@pytest.mark.parametrize(
    ("options", "runtime"),
    [
        ((), "litert"),
        (("--kernels", "default"), "litert"),
        (("--kernels", "builtin"), "litert-builtin"),
        (("--runtime", "litert", "--kernels", "reference"), "litert-reference"),
        (("--runtime", "litert-builtin", "--kernels", "reference"), "litert-reference"),
        (("--runtime", "litert-builtin"), "litert-builtin"),
    ],
)
def test_a_file_is_inspected_with_the_kernels_that_are_named(
    run: Any, file: Path, options: tuple[str, ...], runtime: str
) -> None:
    outcome = run("inspect", file, *options, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["fingerprint"]["runtime"] == runtime
    assert (found["no_twin"], found["equal_logits"], found["integer_macs"]) == ("", 1.0, 1.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kernels", "refrence"), ("reference",)),
        (("--runtime", "onnxruntime", "--kernels", "builtin"), ("onnxruntime", "one set of kernels", "litert")),
    ],
)
def test_kernels_that_a_runtime_lacks_are_one_line(
    run: Any, file: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    outcome = run("inspect", file, *options)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert all(word in outcome.err for word in words)


NAMES = ("litert", "litert-builtin")


@pytest.fixture(scope="module")
def audited(session_folders: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file audited against itself on two sets of kernels, on images labelled as its default kernels do."""
    folder = tmp_path_factory.mktemp("fleet")
    maker = ProgramMaker()
    build(maker.program(layers(maker)), "litert", folder / "model.tflite")
    noise = random_images(300)
    answers = [open_build(folder / "model.tflite", name).predict(noise) for name in NAMES]
    first, second = answers[0].topk(2, 1).values.unbind(1)
    alike = answers[0].argmax(1) == answers[1].argmax(1)
    near = torch.where(alike, first - second, torch.inf).argsort()[:150]
    images, labels = noise[near], answers[0].argmax(1)[near]
    labels[-1] = 39  # The set has as many classes as the file.
    np.savez(folder / "images.npz", images=images.permute(0, 2, 3, 1).numpy(), labels=labels.numpy())
    models = ("--original", folder / "model.tflite", "--build", folder / "model.tflite")
    data = ("--data", folder / "images.npz", "--size", "16", "--class-labels", "as-is", "--threats", "evasion")
    attack = ("--attack", "default", "--images", "16", "--steps", "8", "--epsilon", "4")
    policy = folder / "policy.yaml"
    policy.write_text("fleet_apart: 0.01\nevasive: null\nerrors: null\n")
    kernels = ("--allow-inaccurate", "--kernels", "default, builtin", "--policy", policy)
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        code = main([str(word) for word in ("audit", *models, *kernels, *data, *attack, "--out", folder / "audit")])
    assert code == 1, told.getvalue()
    assert "One file, 2 sets of kernels" in out.getvalue()
    return folder / "audit"


def test_an_audit_finds_where_kernels_of_one_file_disagree(audited: Path) -> None:
    evasion = json.loads((audited / "audit.json").read_text())["evasion"]
    assert evasion["attacks"]["default"]["evasive"]["successes"] == 0, "the file evades itself"
    fleet = evasion["fleet"]
    assert tuple(member["fingerprint"]["runtime"] for member in fleet["members"]) == NAMES
    assert len({member["fingerprint"]["sha256"] for member in fleet["members"]}) == 1
    assert fleet["members"][0]["accuracy"]["value"] == 1, "its own answers are the labels"
    assert {(pair["right"], pair["wrong"]) for pair in fleet["pairs"]} == {
        (one, two) for one in NAMES for two in NAMES if one != two
    }
    assert len(fleet["findings"]) == sum(pair["evasive"]["successes"] for pair in fleet["pairs"])
    assert fleet["apart"]["successes"] == len({finding["index"] for finding in fleet["findings"]}) > 0
    assert {pair["evasive"]["trials"] for pair in fleet["pairs"]} == {fleet["attacked"]} == {16}


def test_a_finding_between_kernels_is_replayed_from_the_folder_alone(run: Any, audited: Path) -> None:
    fleet = json.loads((audited / "audit.json").read_text())["evasion"]["fleet"]
    for finding in fleet["findings"][:: max(1, len(fleet["findings"]) // 3)]:
        right, _, wrong = finding["attack"].removesuffix("-wrong").partition("-right-")
        told = run("replay", audited / "findings" / f"{finding['id']}.json", "--json").json()
        assert (told["original_runtime"], told["runtime"], told["evasive"]) == (right, wrong, True)
        assert told["same_build"] is told["same_original"] is told["same_pixels"] is True
        picture = np.array(Image.open(audited / finding["attacked_png"]))
        image = torch.from_numpy(picture).permute(2, 0, 1)[None]
        answers = [int(open_build(audited / "model.tflite", name).predict(image).argmax()) for name in (right, wrong)]
        assert answers == [finding["original_label"], finding["build_label"]]
        assert answers[0] == finding["label"] != answers[1]


def test_every_report_tells_of_kernels_that_disagree(audited: Path) -> None:
    fleet = json.loads((audited / "audit.json").read_text())["evasion"]["fleet"]
    words = f"{fleet['apart']['successes']} of 16 images that the original and both litert and litert-builtin classify"
    assert words in (audited / "report.html").read_text()
    assert words in (audited / "summary.md").read_text()
    [run_] = json.loads((audited / "report.sarif").read_text())["runs"]
    told = [result for result in run_["results"] if result["ruleId"] == "kernels-disagree"]
    assert len(told) == len(fleet["findings"])
    assert all("the build on litert" in result["message"]["text"] for result in told)
    [rule] = json.loads((audited / "audit.json").read_text())["gate"]
    assert (rule["rule"], rule["measured"], rule["holds"]) == ("fleet_apart", fleet["apart"]["high"], False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kernels", "default,refrence"), ("refrence", "reference")),
        (("--kernels", "default,builtin", "--threats", "theft"), ("evasion", "--threats")),
    ],
)
def test_kernels_that_cannot_be_compared_are_one_line(
    run: Any, file: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    line = run("audit", "--original", file, "--build", file, *options, "--data", "digits", "--size", "16").line()
    assert all(word in line for word in words)
