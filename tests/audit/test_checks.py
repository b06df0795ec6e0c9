"""Each check of the evaluation: silent on a sound pair, and loud where its fault was put in."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from linear_pair import StandInBuild
from torch import nn

from edgerift.audit import FidelityPart
from edgerift.audit._checks import (
    better_baseline,
    black_box,
    check_all,
    identical_pair,
    more_steps,
    no_budget,
    repeated,
    replayed,
    sample_size,
    tied_scores,
    twin_fidelity,
    zero_gradients,
)
from edgerift.evade import Attack, CrossEntropy, Dropped, Pair, Steering, TargetedDiva, search


def near(disagreement=0.0):
    return FidelityPart(images=200, equal_logits=1.0, max_lsb=0.0, label_disagreement=disagreement)


def counting(found, **changes):
    """The search's result with other counts."""
    return replace(found.evasion, **changes)


def test_a_sound_pair_passes_every_check(found):
    fidelity = {"clean": near(), "attacked": near()}
    flags = check_all(*found[:4], {"main": found.evasion}, "main", fidelity)
    assert [flag.name for flag in flags] == [
        "zero-gradients",
        "fidelity-clean",
        "fidelity-attacked",
        "black-box",
        "repeat",
        "replay",
        "identical-pair",
        "epsilon-0",
        "stronger-attack",
        "budget",
        "ties",
        "sample",
    ]
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
    assert [flag.name for flag in flags if f"`{flag.name}`" not in page] == []
    assert [flag.name for flag in flags if flag.level != "ok"] == []
    assert all(flag.seen and flag.meaning and flag.action for flag in flags)


@pytest.mark.parametrize(
    ("zeros", "level"), [(0, "ok"), (1, "note"), (100, "note"), (101, "warning"), (1000, "warning"), (1001, "error")]
)
def test_zero_gradients_by_their_share(found, zeros, level):
    calls, none = torch.zeros_like(found.evasion.gradient_calls), torch.zeros_like(found.evasion.zero_gradients)
    calls[0], none[0] = 10_000, zeros
    flag = zero_gradients(counting(found, gradient_calls=calls, zero_gradients=none))
    assert flag.level == level
    assert "of 10,000 gradients" in flag.seen


def test_a_twin_that_gives_no_gradient_is_seen(found):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    flat[1].weight.data.zero_()
    steering = Steering(found.steering.original, (flat,))
    attack = Attack(objective=CrossEntropy(), steps=3)
    blind = search(found.pair, found.test, attack, steering=steering)
    assert zero_gradients(blind).level == "error"
    assert zero_gradients(blind).seen.startswith("100.00%")


def test_a_search_without_gradients_has_no_zero_ones(found):
    still = search(found.pair, found.test, found.evasion.attack, steering=found.steering, steps=0, epsilon=0)
    assert zero_gradients(still).level == "ok"


@pytest.mark.parametrize("which", ["clean", "attacked"])
@pytest.mark.parametrize(
    ("disagreement", "level"),
    [(0.0, "ok"), (0.005, "note"), (0.01, "note"), (0.02, "warning"), (0.05, "warning"), (0.06, "error")],
)
def test_a_twin_that_leaves_its_runtime_is_seen(which, disagreement, level):
    flag = twin_fidelity(which, near(disagreement))
    assert (flag.name, flag.level) == (f"fidelity-{which}", level)
    assert f"{disagreement:.2%}" in flag.seen
    assert f"200 {which} images" in flag.seen


def test_an_attack_that_loses_to_chance_is_seen(make_found):
    """Its one step leads away from the build's boundary, which lies close to many images."""
    attack = Attack(objective=CrossEntropy(), epsilon=20, step=20, steps=1)
    misled = make_found(attack, shift=200.5, misled=True)
    flag = black_box(misled.pair, misled.evasion)
    assert flag.level == "error"
    assert flag.seen.endswith("one of 1 random places of their box, 0 under the attack")
    right = make_found(Attack(rule="balance", schedule="linear", epsilon=20, step=4), shift=200.5)
    assert black_box(right.pair, right.evasion).level == "ok"


def test_chance_is_held_to_the_attacks_own_goal(make_found):
    """Class 0 is all that chance can reach; an attack that wants class 1 does not lose to that."""
    objective = TargetedDiva(target=1)
    found = make_found(Attack(objective=objective, epsilon=20, step=20, steps=1), shift=200.5)
    assert int(found.evasion.evasive.sum()) == 0
    flag = black_box(found.pair, found.evasion)
    assert flag.level == "ok"
    assert flag.seen.startswith("0 of ")


def test_chance_is_no_better_by_a_few_images(found):
    """Five images more are not significant, six are."""
    for more, level in ((5, "ok"), (6, "error")):
        caught = search(found.pair, found.test.select(found.evasion.index), "pgd", steering=found.steering, epsilon=30)
        easy = replace(caught, attack=Attack(epsilon=255), evasive=torch.ones_like(caught.evasive))
        easy.evasive[:more] = False
        wrong_everywhere = StandInBuild(lambda images: torch.tensor([[1.0, 0.0]]).repeat(len(images), 1))
        right_everywhere = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
        right_everywhere[1].weight.data.zero_()
        right_everywhere[1].bias.data = torch.tensor([0.0, 1.0])
        assert black_box(Pair(right_everywhere, None, wrong_everywhere), easy).level == level


def test_an_answer_that_changes_when_asked_again_is_seen(found):
    answer, asked = found.pair.build.answer, []

    def moody(images):
        asked.append(len(images))
        scores = answer(images).clone()
        scores[0, 0] += 1e-6 * len(asked)
        return scores

    flag = repeated(Pair(found.pair.original, None, StandInBuild(moody)), found.evasion)
    assert flag.level == "error"


def test_a_batch_that_is_answered_otherwise_the_second_time_is_seen(found):
    answer, asked = found.pair.build.answer, []

    def moody(images):
        asked.append(len(images) > 1)
        return answer(images) + 1e-6 * (asked[-1] and sum(asked) > 1)

    assert repeated(Pair(found.pair.original, None, StandInBuild(moody)), found.evasion).level == "error"


def test_an_answer_that_depends_on_the_batch_is_seen(found):
    answer = found.pair.build.answer
    mixed = StandInBuild(lambda images: answer(images) + images.float().mean() * (len(images) > 1))
    flag = repeated(Pair(found.pair.original, None, mixed), found.evasion)
    assert (flag.level, flag.seen[:34]) == ("error", "the build changed its answer to 12")
    assert repeated(found.pair, found.evasion).level == "ok"


def test_finds_that_did_not_replay_are_counted(found):
    void = torch.zeros_like(found.evasion.void)
    assert replayed(counting(found, void=void)).level == "ok"
    void[3:5] = True
    flag = replayed(counting(found, void=void))
    assert flag.level == "warning"
    assert flag.seen.startswith(f"2 of {2 + int(found.evasion.evasive.sum())} findings")


class Dice(nn.Module):
    """A model that answers at random, and so differs from itself."""

    def forward(self, images):
        return torch.rand(len(images), 2) + 0 * images.mean()


def test_a_pair_that_differs_from_itself_is_seen(found):
    torch.manual_seed(0)
    flag = identical_pair(Pair(nn.Sequential(Dice()), None, found.pair.build), found.test, found.evasion)
    assert flag.level == "error"
    same = identical_pair(found.pair, found.test, found.evasion)
    assert (same.level, same.seen) == ("ok", "0 of 64 images evaded a pair of the original and itself")


def test_a_judge_that_lies_about_an_identical_pair_is_seen(found, monkeypatch):
    monkeypatch.setattr(
        "edgerift.evade._verification.is_evasive", lambda original, *_: torch.ones(len(original)).bool()
    )
    assert identical_pair(found.pair, found.test, found.evasion).level == "error"


def test_epsilon_0_finds_the_clean_disagreements(make_found):
    """The images that the original gets right and the build wrong are found, and nothing else."""
    moved = make_found(shift=200.5)
    flag = no_budget(moved.pair, moved.steering, moved.test, moved.clean, moved.evasion.attack)
    expected = int(((moved.clean[0].argmax(1) == 1) & (moved.clean[1].argmax(1) == 0)).sum())
    assert expected == moved.evasion.dropped.build_wrong > 10
    assert flag.level == "ok"
    assert flag.seen == f"with epsilon 0 {expected} of 120 images evade; {expected} are clean disagreements, 0 differ"


@pytest.mark.parametrize(
    "attack",
    [
        Attack(objective=CrossEntropy(), start="random", restarts=3, stop="fooled", goal="top5", seed=4),
        Attack(objective=CrossEntropy(), rule="apgd", step=16.0),
        Attack(rule="balance", schedule="linear"),
        Attack(objective=TargetedDiva(target=0)),
        Attack(objective=TargetedDiva(target=1)),
        Attack(ask="near"),
    ],
)
def test_epsilon_0_holds_for_any_attack(make_found, attack):
    moved = make_found(shift=200.5)
    assert no_budget(moved.pair, moved.steering, moved.test, moved.clean, attack).level == "ok"


def test_a_pair_that_changed_since_it_was_asked_is_seen(make_found):
    moved, other = make_found(shift=200.5), make_found(shift=300.5)
    flag = no_budget(other.pair, other.steering, moved.test, moved.clean, moved.evasion.attack)
    assert flag.level == "error"
    clean = moved.clean[0], moved.clean[0]
    flag = no_budget(moved.pair, moved.steering, moved.test, clean, moved.evasion.attack)
    assert flag.level == "error"
    assert f"0 are clean disagreements, {moved.evasion.dropped.build_wrong} differ" in flag.seen


@pytest.mark.parametrize(
    ("more", "fewer", "level"), [(5, 0, "ok"), (6, 0, "warning"), (12, 3, "warning"), (0, 30, "ok")]
)
def test_a_stronger_attack_of_the_same_run_is_named(found, more, fewer, level):
    weak, strong = torch.zeros(106, dtype=torch.bool), torch.zeros(106, dtype=torch.bool)
    weak[50 : 50 + fewer], strong[:more] = True, True
    results = {
        "main": counting(found, evasive=weak),
        "other": counting(found, evasive=strong),
        "equal": counting(found, evasive=weak),
    }
    flag = better_baseline(results, "main")
    assert flag.level == level
    assert flag.seen == f"stronger than main on the same images: {'other' if level == 'warning' else 'none'}"
    assert ("--attack other" in flag.action) == (level == "warning")


@pytest.mark.parametrize(("calls", "level"), [([1] * 106, "ok"), ([8] * 106, "ok"), ([9] * 106, "note")])
@pytest.mark.parametrize("late", [0, 2, 3])
def test_a_curve_that_still_rises_is_noted(found, calls, level, late):
    """2 of 106 images in the last fifth of the calls are below two in a hundred, 3 are not."""
    first = torch.tensor(calls)
    first[:late] = 10
    flag = more_steps(counting(found, first=first, evasive=torch.ones(106, dtype=torch.bool)))
    assert flag.level == ("note" if late == 3 else level)


@pytest.mark.parametrize(
    ("count", "dropped", "looked", "level", "action"),
    [
        (100, 0, 100, "ok", "none"),
        (99, 0, 99, "note", "attack more images"),
        (100, 100, 200, "ok", "none"),
        (100, 101, 201, "note", "mind the bias towards easy images"),
        (100, 450, 1000, "ok", "none"),
    ],
)
def test_few_images_and_images_that_are_the_easy_ones_are_noted(found, count, dropped, looked, level, action):
    """100 images drawn from 550 that can be attacked are no sign of easy ones."""
    some = replace(found.evasion.select(torch.arange(count)), dropped=Dropped(0, dropped, 0))
    flag = sample_size(some, looked)
    assert (flag.level, flag.action) == (level, action)
    assert flag.seen.startswith(f"{count} images were attacked; {dropped} of {looked} could not be")


@pytest.mark.parametrize(("tied", "level"), [(0, "ok"), (1, "note"), (5, "note"), (6, "warning")])
def test_images_that_hold_by_a_tie_alone_are_counted(found, tied, level):
    """A tie under an evasive image is no reason that it holds."""
    some = found.evasion.select(torch.arange(100))
    scores = torch.arange(10.0).repeat(100, 1)
    scores[:tied, 8] = 9.0
    scores[50:60, 8] = 9.0
    evasive = torch.zeros(100, dtype=torch.bool)
    evasive[50:60] = True
    flag = tied_scores(replace(some, last_build=scores, evasive=evasive))
    assert flag.level == level
    assert flag.seen.startswith(f"{tied} of 100 images")
