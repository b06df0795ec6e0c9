"""`edgerift extract --attack dfme` and the others: files, what reaches the recipe, each wrong input in one line."""

import pytest

from edgerift.cli._datafree import DataFreeOptions
from edgerift.cli._extract import CounterOptions, ExtractCommand
from edgerift.cli._theft import TheftOptions
from edgerift.cli._victim import VictimOptions
from edgerift.deploy import GivenBuild
from edgerift.extract import DataFreeTheft, Differences, Positives, Rehearsal

THIEF = ("--student", "lenet", "--clone-batch-size", 8, "--latent", 8, "--width", 4, "--curve-points", 2)
FILES = {"theft.json", "clone.safetensors", "curve.png", "samples.png", "ledger.stream"}


@pytest.fixture
def given(small_pair):
    return ("extract", "--adapted", small_pair.folder, "--size", 12, *THIEF)


def described(small_pair, **fields):
    whom = VictimOptions(adapted=small_pair.folder)
    return ExtractCommand(**{"out": "out", "data": {"size": 12}, "whom": whom} | fields)._recipe()


def test_it_writes_what_was_stolen_and_says_when_it_was_blind(run, given, tmp_path):
    done = run(*given, "--attack", "dfme", "--budget", 120, "--out", tmp_path / "out")
    assert (done.code, {path.name for path in (tmp_path / "out").iterdir()}) == (0, FILES)
    assert "112 queries of the victim with generated whole grey levels" in " ".join(done.out.split())
    assert "The attack was blind: its finite differences (epsilon 0.001)" in " ".join(done.out.split())
    theft = DataFreeTheft.model_validate_json((tmp_path / "out" / "theft.json").read_text())
    assert (theft.spent, theft.curve[-1].zero_share) == (112, pytest.approx(1, abs=0.3))


def test_the_same_command_again_steals_nothing(run, given, tmp_path):
    command = (*given, "--attack", "disguide-hard", "--budget", 24, "--store", tmp_path / "store")
    assert run(*command, "--out", tmp_path / "one").code == 0
    again = run(*command, "--out", tmp_path / "two", "--json")
    assert (again.code, again.err) == (0, "")
    assert again.out == (tmp_path / "one" / "theft.json").read_text()


def test_options_reach_the_recipe(small_pair):
    recipe = described(
        small_pair,
        stealing=TheftOptions(budget=5000, student="lenet", clone_batch_size=8, clone_learning_rate=0.2, clone_seed=9),
        making=DataFreeOptions(
            attack="maze", epsilon=0.5, directions=4, scheme="central", split=True, latent=7, width=6, keep_answers=True
        ),
    )
    attack = recipe.attack
    assert attack.differences == Differences(epsilon=0.5, directions=4, scheme="central", split=True)
    assert (attack.name, attack.student, attack.batch_size, attack.latent, attack.width) == ("maze", "lenet", 8, 7, 6)
    assert (attack.clone.learning_rate, attack.clone.schedule, attack.seed, attack.reuse) == (0.2, "cosine", 9, True)
    assert (recipe.budget, recipe.keep, recipe.pixels, recipe.simulated) == (5000, True, "whole", False)
    assert isinstance(recipe.victim, GivenBuild)
    assert recipe.program is not None


def test_any_field_of_an_attack_can_be_changed(small_pair):
    changes = ("clone_steps=3", "compile=true", "rehearsal.steps=5", "clone.milestones=[0.25]", "rehearsal.adds=last")
    attack = described(small_pair, making=DataFreeOptions(attack="disguide", change=changes)).attack
    assert (attack.clone_steps, attack.compile, attack.clone.milestones) == (3, True, (0.25,))
    assert (attack.clone.learning_rate, attack.generator.milestones) == (0.03, (0.4, 0.8)), "all else is as published"
    assert attack.rehearsal == Rehearsal(steps=5, capacity=1_000_000, adds="last")


def test_a_thief_with_some_images_of_the_victims(small_pair, run, given, tmp_path):
    attack = described(small_pair, making=DataFreeOptions(attack="maze", positives=7)).attack
    assert attack.positives == Positives(count=7)
    few = (*given, "--attack", "maze", "--budget", 120, "--directions", 1, "--positives")
    assert run(*few, 4, "--out", tmp_path / "few").code == 0
    many = run(*few, 100_000, "--out", tmp_path / "many")
    assert many.code == 2
    assert "positives.count is 100000 and there are" in many.err


def test_a_simulated_victim_needs_no_build(small_pair):
    recipe = described(small_pair, making=DataFreeOptions(attack="dfme", simulated=True))
    assert (recipe.simulated, recipe.pixels) == (True, "float")
    rounded = described(small_pair, making=DataFreeOptions(attack="dfme", simulated=True, pixels="whole"))
    assert (rounded.simulated, rounded.pixels) == (True, "whole")


WRONG = [
    (("--attack", "dfme", "--queries", "digits"), "--queries is for --attack knockoff"),
    (("--attack", "dfme", "--clone-epochs", 3), "--clone-epochs is for --attack knockoff"),
    (("--attack", "dfme", "--views", 3), "--views is for --attack knockoff; leave it out with dfme"),
    (("--attack", "disguide", "--epsilon", 1), "--epsilon: disguide uses no finite differences"),
    (("--attack", "disguide", "--split"), "--split: disguide uses no finite differences"),
    (("--epsilon", 1), "--epsilon is for the data-free attacks; choose one with --attack"),
    (("--keep-answers",), "--keep-answers is for the data-free attacks"),
    (("--attack", "dfme", "--budget", 10), "10 is less than the 56 queries of one iteration"),
    (("--attack", "dfme", "--pixels", "float"), "a build accepts whole grey levels only"),
    (("--attack", "maze", "--antithetic", "--directions", 3), "antithetic directions come in pairs"),
    (("--attack", "mazes"), "mazes"),
    (("--change", "clone_steps=3"), "--change is for the data-free attacks"),
    (("--attack", "dfme", "--change", "clone_steps"), "--change clone_steps: write NAME=VALUE"),
    (("--attack", "dfme", "--change", "name=maze"), "chosen with --attack"),
    (("--attack", "dfme", "--change", "clone.=3"), "--change clone.=3: write NAME=VALUE"),
    (("--attack", "dfme", "--change", "loss.x=3"), "loss is 'l1', which has no fields; write loss=VALUE"),
    (("--attack", "dfme", "--change", "clone_step=3"), "unknown field 'clone_step'; did you mean 'clone_steps'?"),
    (("--attack", "dfme", "--change", "clone_steps=three"), "clone_steps is 'three'"),
    (("--attack", "dfme", "--change", "rehearsal.steps=3"), "rehearsal.capacity is missing"),
]


@pytest.mark.parametrize(("options", "message"), WRONG)
def test_what_does_not_fit_is_one_line(run, small_pair, tmp_path, options, message):
    base = ("extract", "--adapted", small_pair.folder, "--size", 12, "--student", "lenet", "--out", tmp_path / "out")
    batch = ("--clone-batch-size", 8) if "--budget" in options else ()
    done = run(*base, *batch, *options)
    assert (done.code, done.out) == (2, "")
    assert message in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_counter_attacks_belong_to_knockoff(small_pair):
    with pytest.raises(Exception, match="--smoothing is for --attack knockoff"):
        described(small_pair, making=DataFreeOptions(attack="maze"), countering=CounterOptions(smoothing=0.1))
