"""`edgerift flips`, `edgerift differ`, and the card that sees a flipped bit."""

import json
import shutil

import pytest

from edgerift.deploy import Program, build, weight_codes
from edgerift.flips import Flip, flipped

DATA = ("--size", 16, "--count", 24)


def test_flips_writes_the_flipped_build_and_says_how_few_it_took(run, adapted, tmp_path):
    given = ("flips", "--adapted", adapted.folder, *DATA, "--runtime", "onnxruntime", "--store", tmp_path / "store")
    short = ("--flips", 2, "--trials", 1, "--images", 16, "--candidates", 1, "--out", tmp_path / "out")
    report = run(*given, *short, "--json").json()
    assert json.loads((tmp_path / "out" / "flips.json").read_text()) == report
    assert {"flips.json", "program.safetensors", "model.onnx"} == {path.name for path in (tmp_path / "out").iterdir()}
    assert report["images"] == 24
    assert len(report["trials"][0]["flips"]) <= 2
    told = run(*given, *short)
    assert told.code == 0
    assert "Random flips instead" in told.out
    assert "train" not in told.err


def test_differ_needs_no_labels(run, adapted, tmp_path):
    given = ("differ", "--adapted", adapted.folder, "--size", 16, "--count", 8, "--runtime", "onnxruntime")
    report = run(*given, "--steps", 2, "--constraint", "light", "--out", tmp_path, "--json").json()
    assert report["search"]["images"] == 8
    assert report["settings"]["constraint"] == "light"
    told = run(*given, "--images", "digits", "--steps", 1, "--out", tmp_path / "unlabelled")
    assert told.code == 0
    assert "could be changed so that they differ" in " ".join(told.out.split())


def test_the_card_sees_one_flipped_bit_and_keeps_what_it_was_made_of(run, adapted, tmp_path):
    folder = shutil.copytree(adapted.folder, tmp_path / "adapted")
    (folder / "model.pte").unlink()
    before = (folder / "card.json").read_bytes()
    assert run("card", folder, "--size", 16, "--json").code == 0
    program = Program.load(folder / "program.safetensors")
    layer = next(iter(json.loads(before)["codes"]))
    flipped(program, [Flip(layer=layer, place=0, bit=0)]).save(folder / "program.safetensors")
    kept = (folder / "card.json").read_bytes()
    told = run("card", folder, "--size", 16, "--json")
    assert told.code == 1
    (line,) = [line for line in json.loads(told.out)["mismatches"] if "checksums" in line]
    assert f"checksums differ in '{layer}'" in line
    assert (folder / "card.json").read_bytes() == kept


@pytest.mark.parametrize(
    ("runtime", "file"),
    [("onnxruntime", "model.onnx"), pytest.param("executorch", "model.pte", marks=pytest.mark.slow)],
)
def test_the_card_sees_a_flipped_build_beside_an_untouched_program(run, adapted, tmp_path, runtime, file):
    folder = shutil.copytree(adapted.folder, tmp_path / "adapted")
    for other in {"model.onnx", "model.pte"} - {file}:
        (folder / other).unlink()
    assert run("card", folder, "--size", 16, "--json").code == 0
    program = Program.load(folder / "program.safetensors")
    layer = next(iter(weight_codes(program)))
    build(flipped(program, [Flip(layer=layer, place=0, bit=0)]), runtime, folder / file)
    kept = (folder / "card.json").read_bytes()
    told = run("card", folder, "--size", 16, "--json")
    assert told.code == 1
    lines = json.loads(told.out)["mismatches"]
    assert any(f"the {runtime} build" in line and "SHA-256 has changed" in line for line in lines)
    assert not any("checksums" in line for line in lines)
    assert (folder / "card.json").read_bytes() == kept


@pytest.mark.parametrize("verb", ["flips", "differ"])
def test_without_a_card_the_option_is_named_that_takes_the_seed_of_the_images(run, adapted, tmp_path, verb):
    folder = shutil.copytree(adapted.folder, tmp_path / "adapted")
    (folder / "card.json").unlink()
    line = run(verb, "--adapted", folder, "--size", 16, "--out", tmp_path / "out").line()
    assert "pass --split-seed as `edgerift adapt` had --seed" in line


@pytest.mark.parametrize("verb", ["flips", "differ"])
def test_a_folder_that_is_not_there_is_one_line(run, tmp_path, verb):
    assert "no program file at" in run(verb, "--adapted", tmp_path / "none", "--out", tmp_path / "out").line()
