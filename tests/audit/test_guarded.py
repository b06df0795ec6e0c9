"""An audit of a build with a guard: what it measures, what it writes, and what a replay says."""

import json
import shutil

import pytest
import torch

from edgerift.audit import Policy, judge, read_audit, replay, run_audit
from edgerift.defend import Guard, GuardRecipe
from edgerift.deploy import open_build, write_guard
from edgerift.evade import members, preset
from edgerift.images import open_splits
from edgerift.measure import Rate, interval
from edgerift.steps import silent

NOTHING = dict.fromkeys(Policy.model_fields)


@pytest.fixture(scope="module")
def recipe(audited):
    pair = audited.recipe.pair
    guard = GuardRecipe(build=pair.build, images=audited.recipe.images, coverage=0.995)
    return audited.recipe.replace(pair=pair.replace(guard=guard))


@pytest.fixture(scope="module")
def guarded(recipe, audited, tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    return run_audit(recipe, folder, audited.store), folder


@pytest.fixture(scope="module")
def opened(recipe, audited):
    return recipe.pair.open(audited.store, silent)[0]


def test_the_guard_is_calibrated_on_validation_images(recipe, audited, opened):
    validation = open_splits(recipe.images).validation.images
    assert opened.guard == Guard.calibrate(opened.build_scores(validation), 0.995)
    assert recipe.pair.known_guard(audited.store) == opened.guard
    assert audited.recipe.pair.known_guard(audited.store) is None


def test_coverage_and_accuracy_are_those_of_the_test_images(guarded, opened, recipe):
    test = open_splits(recipe.images).test
    scores, part = opened.build_scores(test.images), guarded[0].pair.guard
    best = scores.topk(2, 1).values
    answered, right = best[:, 0] - best[:, 1] >= opened.guard.threshold, scores.argmax(1) == test.labels
    original = opened.original_scores(test.images).argmax(1) == test.labels
    assert part.guard == opened.guard
    assert part.coverage == interval(Rate(int(answered.sum()), len(test)))
    assert part.accuracy == interval(Rate(int((answered & right).sum()), int(answered.sum())))
    assert part.only_original_right == interval(Rate(int((answered & ~right & original).sum()), len(test)))


def test_evasive_images_are_answered_and_others_can_be_made_unanswered(guarded, opened, recipe, audited):
    audit, main = guarded[0], guarded[0].evasion.main
    found = recipe.searching("default").open(audited.store, silent)
    assert audit.evasion.attacked == audited.audit.evasion.attacked
    assert main.evasive.successes == int(found.evasive.sum()) > 0
    assert bool(opened.guard.answers(found.build[found.evasive]).all())
    answered = opened.guard.answers(found.clean_build)
    assert main.evasive_answered == interval(Rate(int((found.evasive & answered).sum()), int(answered.sum())))
    hidden = recipe.hiding().open(audited.store, silent)
    assert audit.evasion.forced_abstention == interval(
        Rate(int((hidden.evasive & answered).sum()), int(answered.sum()))
    )
    assert hidden.evasive[answered].any()
    assert not opened.guard.answers(hidden.build[hidden.evasive]).any()


def test_the_folder_holds_the_guard_and_replays_with_it(guarded, opened, tmp_path):
    audit, written = guarded
    folder = tmp_path / "copy"
    shutil.copytree(written, folder)
    assert open_build(folder / "model.onnx").guard == audit.pair.fingerprint.guard == opened.guard
    assert read_audit(folder) == audit
    finding = folder / "findings" / f"{audit.evasion.findings[0].id}.json"
    result = replay(finding)
    assert (result.evasive, result.abstains, result.same_build) == (True, False, True)
    write_guard(Guard(threshold=1e3), "onnxruntime", folder / "model.onnx")
    result = replay(finding)
    assert (result.evasive, result.abstains, result.same_build) == (False, True, False)
    assert result.build_answer != result.label
    # Without the file the guard that the finding records counts.
    write_guard(None, "onnxruntime", folder / "model.onnx")
    assert replay(finding).evasive
    content = json.loads(finding.read_text())
    finding.write_text(json.dumps({**content, "guard": Guard(threshold=1e3).model_dump()}))
    assert replay(finding).abstains


def test_a_document_without_a_guard_says_nothing_about_one(audited):
    content = json.loads(audited.audit.model_dump_json())
    assert "guard" not in content["pair"]
    assert "guard" not in content["pair"]["fingerprint"]
    assert "forced_abstention" not in content["evasion"]
    assert not {"evasive_answered", "members"} & content["evasion"]["attacks"]["default"].keys()
    assert "guard" not in json.loads(next((audited.folder / "findings").glob("*.json")).read_text())
    assert "guard" not in audited.recipe.canonical_json()


@pytest.mark.parametrize(("shift", "holds"), [(-1e-9, True), (1e-9, False)])
def test_the_policy_limits_what_a_guard_costs(guarded, shift, holds):
    audit = guarded[0]
    covered, forced = audit.pair.guard.coverage.low, audit.evasion.forced_abstention.high
    parts = judge(audit, Policy(**{**NOTHING, "coverage": covered + shift, "forced_abstention": forced - shift}))
    assert [(part.rule, part.measured, part.holds) for part in parts] == [
        ("forced_abstention", forced, holds),
        ("coverage", covered, holds),
    ]


def test_a_build_that_answers_everything_holds_both_limits(audited):
    parts = judge(audited.audit, Policy(**{**NOTHING, "coverage": 1.0, "forced_abstention": 0.0}))
    assert all(part.holds for part in parts)
    assert len(parts) == 2


def test_an_ensemble_is_audited_as_any_attack(audited, recipe, tmp_path):
    chosen = recipe.replace(attacks={"pair-attack-1": preset("pair-attack-1", 16)}, main="pair-attack-1", count=6)
    audit = run_audit(chosen, tmp_path, audited.store)
    assert list(audit.evasion.main.members) == list(members(preset("pair-attack-1")))
    assert sum(audit.evasion.main.members.values()) == audit.evasion.main.evasive.successes
    assert {flag.name for flag in audit.flags if flag.level == "error"} == set()
    assert torch.tensor(audit.evasion.main.cumulative)[-1] == audit.evasion.main.evasive.successes
