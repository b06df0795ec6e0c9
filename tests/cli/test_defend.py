"""`edgerift defend`: the sweeps, the strongest that a budget allows, the thefts, and each wrong input in one line."""

import json

import pytest
import torch

from edgerift.defend import strengths, tuned
from edgerift.deploy import open_build
from edgerift.extract import posteriors
from edgerift.harden import Defending
from edgerift.images import open_splits
from edgerift.measure import posterior_l1


@pytest.fixture
def given(small_pair):
    return ("defend", "--adapted", small_pair.folder, "--size", 12)


@pytest.fixture(scope="session")
def validation(small_pair):
    """The build's answers to the validation images."""
    splits = open_splits(small_pair.images)
    return posteriors(open_build(small_pair.folder / "model.onnx"), splits.validation.images)


def test_without_arguments_it_sweeps_the_two_published_ones(run, given, validation, tmp_path):
    done = run(*given, "--l1-budget", 0.2, "--out", tmp_path, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.out == (tmp_path / "defend.json").read_text()
    assert list(tmp_path.glob("*.png")) or list(tmp_path.glob("*.svg"))
    found = Defending.model_validate_json(done.out)
    assert set(found.sweeps) == set(found.chosen) == set(found.milliseconds) == {"reverse-sigmoid", "deception"}
    assert set(found.reliability) == {"clean", "reverse-sigmoid", "deception"}
    assert (found.runtime, found.budget_l1, found.data.validation) == ("onnxruntime", 0.2, len(validation))
    for name, points in found.sweeps.items():
        defence = found.chosen[name]
        assert defence == tuned(name, validation, 0.2)
        tried = [point.strength for point in points]
        assert tried == sorted({*strengths(name), defence.beta})
        (chosen,) = (point for point in points if point.strength == defence.beta)
        moved = posterior_l1(defence(validation), validation).value
        assert chosen.l1 == pytest.approx(moved)
        assert 0 < moved <= 0.2
        assert points[0].l1 == 0
        assert all(point.adversary_error is None for point in points)


def test_settings_that_stay_go_with_every_strength(run, given, validation, tmp_path):
    swept = ("--defence", "reverse-sigmoid:gamma=1", "--strengths", 0.5, "0.1,0.3", "--strengths", "0.3")
    found = Defending.model_validate(run(*given, *swept, "--out", tmp_path, "--json").json())
    (points,) = found.sweeps.values()
    chosen = found.chosen["reverse-sigmoid"]
    assert chosen.gamma == 1
    assert [point.strength for point in points] == sorted({0.1, 0.3, 0.5, chosen.beta})
    with torch.no_grad():
        moved = posterior_l1(chosen.replace(beta=0.3)(validation), validation).value
    (point,) = (point for point in points if point.strength == 0.3)
    assert point.l1 == pytest.approx(moved)


def test_strengths_that_fall_go_from_weak_to_strong(run, given, tmp_path):
    done = run(*given, "--defence", "top-k", "--strengths", "1", "10", "4", "--l1-budget", "0", "--out", tmp_path)
    assert done.code == 0
    points = json.loads((tmp_path / "defend.json").read_text())["sweeps"]["top-k"]
    assert [point["strength"] for point in points] == [10, 4, 1]


def test_it_steals_behind_every_strength(run, given, tmp_path):
    thief = ("--steal", "--student", "lenet", "--budget", 40, "--clone-epochs", 1)
    swept = ("--defence", "temperature", "--strengths", "1,4", "--l1-budget", "0")
    done = run(*given, *thief, *swept, "--out", tmp_path, "--json")
    first, other = done.json()["sweeps"]["temperature"]
    assert (first["strength"], other["strength"]) == (1, 4)
    assert done.err.count("clone: epoch 1/1") == 2
    stolen = run(*("extract", *given[1:], *thief[1:]), "--out", tmp_path / "plain", "--json")
    assert "clone" not in stolen.err
    assert first["adversary_error"] == stolen.json()["adversary_error"]
    behind = run(
        *("extract", *given[1:], *thief[1:]), "--defence", "temperature:value=4", "--out", tmp_path / "4", "--json"
    )
    assert "clone" not in behind.err
    assert other["disagreement"] == behind.json()["disagreement"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--defence", "deceptoin"], "unknown defence 'deceptoin'; did you mean 'deception'?"),
        (["--defence", "deception:beta=1"], "deception:beta=1: 'beta' of 'deception' is its strength"),
        (["--defence", "deception:nu=0"], "deception:nu=0: nu is '0'; it must be greater than 0"),
        (["--defence", "deception", "--defence", "deception:gamma=1"], "names one defence twice"),
        (["--strengths", "0.1"], "--strengths is for one defence, not for reverse-sigmoid and deception"),
        (["--defence", "deception", "--strengths", "much"], "--strengths is 'much'; it must be a number from 0 up"),
        (["--defence", "rounding", "--strengths", "2.5"], "decimals is 2.5; it must be a valid integer"),
        (["--defence", "label-only", "--strengths", "2"], "it is all or nothing, so its strength is 1"),
        (["--l1-budget", "-1"], "--l1-budget is -1.0; it must be greater than or equal to 0"),
        (["--steal", "--queries", "./none"], "there is no image folder or .npz file './none'"),
        (["--out", "BAD/file"], "cannot be made a folder"),
    ],
)
def test_wrong_input_is_one_line(run, given, tmp_path, arguments, text):
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "file").write_text("not a folder")
    out = () if "--out" in arguments else ("--out", tmp_path / "out")
    assert text in run(*given, *out, *(value.replace("BAD", str(bad)) for value in arguments)).line()
    assert list(tmp_path.rglob("out/*")) == []
