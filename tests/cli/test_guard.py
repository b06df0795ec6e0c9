"""`--guard`: a share, a file, or none, and what is wrong with others."""

import json

import pytest

from edgerift.audit import read_audit
from edgerift.cli._guard import chosen_guard
from edgerift.defend import Guard, GuardRecipe
from edgerift.deploy import guard_path, open_build, write_guard
from edgerift.errors import InputError


@pytest.fixture
def described(small_pair):
    return small_pair.settings().build, small_pair.images


def test_a_share_is_calibrated_and_a_file_is_read(described, tmp_path):
    build, images = described
    assert chosen_guard(None, *described) is None
    assert chosen_guard("none", *described) == Guard(threshold=0)
    for text in ("0.98", "98%", "98 %"):
        assert chosen_guard(text, *described) == GuardRecipe(build=build, images=images, coverage=0.98)
    guard = Guard(threshold=0.25, space="log-probabilities")
    (tmp_path / "guard.json").write_text(guard.model_dump_json())
    (tmp_path / "model.onnx").write_bytes(b"model")
    write_guard(guard, "onnxruntime", tmp_path / "model.onnx")
    for path in (tmp_path / "guard.json", guard_path(tmp_path / "model.onnx")):
        assert chosen_guard(str(path), *described) == guard


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("0", "is no share of images"),
        ("98", "is no share of images"),
        ("missing.json", "cannot read the guard"),
        ("README.md", "cannot read the guard"),
    ],
)
def test_what_is_no_guard_is_told_in_one_line(described, given, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=text):
        chosen_guard(given, *described)


def test_a_file_of_another_kind_is_no_guard(described, tmp_path):
    path = tmp_path / "card.json"
    for content in ("[]", '{"type": "card"}', '{"type": "guard", "threshold": -1}'):
        path.write_text(content)
        with pytest.raises(InputError, match="is no guard of this version"):
            chosen_guard(str(path), *described)


def test_an_audit_takes_the_guard_and_ships_it(run, small_pair, tmp_path):
    short = ("--attack", "default", "--epsilon", 30, "--steps", 4, "--images", 12, "--threats", "evasion")
    pair = ("--adapted", small_pair.folder, "--size", 12, "--store", tmp_path / "store")
    done = run("audit", *pair, *short, "--guard", "0.9", "--out", tmp_path / "out")
    audit = read_audit(tmp_path / "out")
    shown = " ".join(done.out.split())
    assert "The build abstains where its two best scores are less than" in shown
    assert "can be perturbed so that it abstains" in shown
    for name in ("report.html", "summary.md"):
        assert "The build abstains where" in (tmp_path / "out" / name).read_text()
    assert open_build(tmp_path / "out" / "model.onnx").guard == audit.pair.guard.guard
    again = run("audit", *pair, *short, "--out", tmp_path / "out", "--json")
    assert "guard" not in json.loads(again.out)["pair"]
    assert not guard_path(tmp_path / "out" / "model.onnx").exists()
