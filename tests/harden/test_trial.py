"""One build behind one guard under attack: what is measured is what the parts say one by one."""

from typing import Any

import pytest

from edgerift.adapt import given_original, load_original
from edgerift.defend import calibrated_guard
from edgerift.deploy import BuildRecipe, Program, given_program, opened_build
from edgerift.evade import Pair, search
from edgerift.harden import TrialRecipe
from edgerift.images import open_splits
from edgerift.steps import Store, silent


@pytest.fixture
def trial(small_pair: Any) -> TrialRecipe:
    program = given_program(small_pair.folder / "program.safetensors")
    return TrialRecipe(
        original=given_original(small_pair.folder / "original.safetensors"),
        program=program,
        build=BuildRecipe(program=program, runtime="onnxruntime"),
        images=small_pair.images,
        epsilons=(4, 30),
        steps=4,
    )


def test_a_trial_is_a_search_that_knows_the_guard(trial: TrialRecipe, small_pair: Any, tmp_path: Any) -> None:
    store = Store(tmp_path)
    found = trial.replace(coverage=0.8, abstaining=True).open(store, silent)
    build = opened_build(trial.build, store, silent)
    validation = open_splits(small_pair.images).validation
    guard = calibrated_guard(build, validation, 0.8)
    assert found.guard == guard
    assert guard.threshold > 0
    original = load_original(given_original(small_pair.folder / "original.safetensors"))
    pair = Pair(original, Program.load(small_pair.folder / "program.safetensors"), build, guard=guard)
    reached: set[int] = set()
    for part in found.reach:
        expected = search(pair, validation, "default", epsilon=part.epsilon, steps=4)
        reached |= set(expected.index[expected.evasive].tolist())
        assert (part.evasive.successes, part.evasive.trials) == (len(reached), len(expected))
    scores = build.predict(validation.images)
    answered = guard.answers(scores)
    right = answered & (scores.argmax(1) == validation.labels)
    assert (found.coverage.successes, found.coverage.trials) == (int(answered.sum()), len(validation))
    assert (found.accuracy.successes, found.accuracy.trials) == (int(right.sum()), int(answered.sum()))
    assert found.furthest.abstained is not None
    assert found.furthest.abstained.value > 0


def test_a_guard_helps_and_without_one_everything_is_answered(trial: TrialRecipe, tmp_path: Any) -> None:
    store = Store(tmp_path)
    open_, guarded = (trial.replace(coverage=one, count=40).open(store, silent) for one in (None, 0.8))
    assert (open_.guard, open_.furthest.abstained, open_.coverage.value) == (None, None, 1.0)
    assert open_.at(30).trials == guarded.at(30).trials == 40
    assert open_.at(30).value > guarded.at(30).value
    test = trial.replace(split="test", count=40).open(store, silent)
    assert test.coverage.trials == 359
