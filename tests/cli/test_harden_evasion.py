"""`edgerift harden --against evasion`: the build, its guard and its page, and each wrong input in one line."""

import json
import shlex
from typing import Any

import pytest
import yaml

from edgerift.cli import main
from edgerift.cli._defend import DefendCommand
from edgerift.cli._harden import HardenCommand
from edgerift.cli._parsing import parse
from edgerift.defend import strength_of
from edgerift.deploy import open_build
from edgerift.harden import Defending, EvasionHardening
from edgerift.images import open_splits


@pytest.fixture
def given(small_pair: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """Harden the original on the disk at a small epsilon, with few images."""
    making = ("--original", small_pair.folder / "original.safetensors", "--size", 12, "--target", "server")
    training = ("--adapt-epochs", 1, "--calibration-images", 64, "--store", tmp_path_factory.mktemp("store"))
    return ("harden", "--against", "evasion", *making, *training, "--images", 24, "--epsilon", 2)


@pytest.mark.slow
def test_it_leaves_a_build_with_its_guard_that_the_audit_takes(
    run: Any, given: tuple[object, ...], small_pair: Any, tmp_path: Any
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"evasive": 0.3, "accuracy_drop": 0.05, "stolen": None}))
    out = tmp_path / "hardened"
    done = run(*given, "--policy", policy, "--coverage", 0.9, "--means", "ptq", "--out", out, "--json")
    assert done.code == 0, done.err
    assert done.out == (out / "harden.json").read_text()
    found = EvasionHardening.model_validate_json(done.out)
    assert (found.evasive, found.coverage, found.accuracy_drop) == (0.3, 0.9, 0.05)
    assert [part.name for part in found.tried] == ["qat", "ptq"]
    assert found.chosen is not None
    trial = found.means("ptq").trial(found.chosen.wanted)
    assert trial.at(2).high <= 0.3
    assert {one.epsilon for one in trial.reach} == {1, 2, 4, 8}
    html = (out / "harden.html").read_text()
    assert "A build passes" in html
    assert found.audit is not None
    assert found.audit.replace("&", "&amp;") in html

    build = open_build(out / "model.onnx")
    assert build.guard == trial.guard
    test = open_splits(small_pair.images).test
    answered = build.predict(test.images)
    assert found.test["hardened"].coverage.trials == len(test)
    if trial.guard is not None:
        assert found.test["hardened"].coverage.successes == int(trial.guard.answers(answered).sum())
    words = shlex.split(found.audit)
    assert words[:4] == ["edgerift", "audit", "--adapted", str(out)]
    assert main([*words[1:], "--images", "24"]) in (0, 1)
    assert json.loads((out / "audit" / "audit.json").read_text())["type"] == "audit"

    both = [word if word != "evasion" else "both" for word in given]
    done = run(*both, "--policy", policy, "--coverage", 0.9, "--means", "ptq", "--out", out, "--json")
    again = EvasionHardening.model_validate_json(done.out)
    assert again.replace(theft=None, stealing=None) == found
    assert again.theft == Defending.model_validate_json((out / "defend.json").read_text())
    # What it chose is within the budget on the answers of this very build.
    assert again.theft.budget_l1 == 0.6
    for name, defence in again.theft.chosen.items():
        strength = strength_of(defence)
        assert next(point.l1 for point in again.theft.sweeps[name] if point.strength == strength) <= 0.6
    assert isinstance(parse(shlex.split(again.stealing)[1:]), DefendCommand)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--means", "consistensy"), "did you mean 'consistency'"),
        (("--means", "robust"), "robust trains the original anew; leave out --original"),
        (("--variants", "divqat"), "not for --against evasion"),
        (("--budget", 3), "not for --against evasion"),
        (("--coverage", 1.5), "coverage"),
        (("--policy", "none.yaml"), "none.yaml"),
    ],
)
def test_wrong_input_is_one_line(
    run: Any, given: tuple[object, ...], tmp_path: Any, words: tuple[object, ...], said: str
) -> None:
    assert said in run(*given, *words, "--out", tmp_path).line()


def test_options_of_evasion_are_not_ignored_against_theft(run: Any, tmp_path: Any) -> None:
    line = run("harden", "--coverage", 0.9, "--all-means", "--out", tmp_path).line()
    assert "add --against evasion" in line
    assert "--coverage, --all-means" in line


def test_theft_is_the_default() -> None:
    assert HardenCommand.model_fields["against"].default == "theft"
