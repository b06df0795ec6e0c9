"""`edgerift replay`: what it says, and its exit code."""

import json
import shutil

import pytest

from edgerift.audit import AuditRecipe, read_audit, run_audit
from edgerift.evade import png_bytes, preset, read_png
from edgerift.steps import Store


@pytest.fixture(scope="session")
def audited_folder(small_pair, tmp_path_factory):
    """Audit a few images with an attack that finds some of them evasive."""
    attacks = {"default": preset("default", 24, 10)}
    recipe = AuditRecipe(
        pair=small_pair.settings(), images=small_pair.images, attacks=attacks, main="default", count=20
    )
    folder = tmp_path_factory.mktemp("audit")
    run_audit(recipe, folder, Store(tmp_path_factory.mktemp("store")))
    return folder


@pytest.fixture
def folder(audited_folder, tmp_path):
    shutil.copytree(audited_folder, tmp_path / "audit")
    return tmp_path / "audit"


@pytest.fixture
def finding(folder):
    return folder / "findings" / f"{read_audit(folder).evasion.findings[0].id}.json"


def test_a_finding_evades_again(run, folder, finding):
    part = read_audit(folder).evasion.findings[0]
    done = run("replay", finding)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"{part.id}: evades, judged from its PNG file",
        f"  label     {part.label}",
        f"  original  {part.original_label} ({part.original_probability:.1%})",
        f"  build     {part.build_label} ({part.build_probability:.1%}) on onnxruntime",
    ]


def test_json_has_every_answer(run, finding):
    result = run("replay", finding.with_suffix(".attacked.png"), "--json").json()
    assert (result["type"], result["version"]) == ("replay", 1)
    assert (result["evasive"], result["same_pixels"], result["same_build"]) == (True, True, True)
    assert result["finding"] == finding.stem


def test_the_clean_image_in_its_place_does_not_evade(run, finding):
    shutil.copy(finding.with_suffix(".clean.png"), finding.with_suffix(".attacked.png"))
    done = run("replay", finding)
    assert (done.code, done.err) == (1, "")
    assert f"{finding.stem}: does not evade" in done.out
    assert "the pixels of the file are not those that were reported" in done.out
    assert "is not the one that was audited" not in done.out
    assert json.loads(run("replay", finding, "--json").out)["evasive"] is False


def test_pixels_that_changed_but_still_evade_are_told(run, finding):
    path = finding.with_suffix(".attacked.png")
    image = read_png(path)
    image[0, 0, 0] ^= 1
    path.write_bytes(png_bytes(image))
    done = run("replay", finding)
    assert "the pixels of the file are not those that were reported" in done.out
    assert done.code == (0 if ": evades" in done.out else 1)


def test_another_machine_is_told(run, finding):
    content = json.loads(finding.read_text())
    content["fingerprint"]["processor"] = "sparc"
    finding.write_text(json.dumps(content))
    done = run("replay", finding)
    assert done.code == 0
    assert "the build, its runtime or the CPU is not the one that was audited" in done.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["HERE/none.json"], "cannot read the finding HERE/none.json"),
        (["HERE/audit.json"], "is no finding of this version (FindingFile.type is 'audit'"),
        (["HERE"], "is a folder; give one finding, such as HERE/findings/default-"),
        ([], "FINDING"),
        (["FOUND", "--original", "HERE/none.safetensors"], "HERE/none.safetensors"),
        (["FOUND", "--build", "HERE/none.onnx"], "no build at HERE/none.onnx"),
        (["FOUND", "--build", "HERE/original.safetensors"], "cannot load"),
    ],
)
def test_wrong_input_is_one_line(run, folder, finding, arguments, text):
    given = [value.replace("HERE", str(folder)).replace("FOUND", str(finding)) for value in arguments]
    assert text.replace("HERE", str(folder)) in run("replay", *given).line()
