"""The search for a strength: what it allows, what it says, and what it does not train twice."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from edgerift import errors, images, zoo
from edgerift.adapt import (
    AdaptRecipe,
    Allowance,
    Divqat,
    HardenedRecipe,
    LabelSmoothing,
    MisleadingTargets,
    PtqSettings,
    QatSettings,
    Search,
    Trial,
    TunedRecipe,
    ptq,
)
from edgerift.adapt import _tuned as module
from edgerift.deploy import Program, twin, twin_scores
from edgerift.images import ImagesSettings
from edgerift.steps import Store, reachable, silent
from edgerift.train import TrainRecipe, TrainSettings

IMAGES = ImagesSettings(size=12)
TRAIN = TrainSettings(epochs=1, batch_size=64, learning_rate=0.02, device="cpu", seed=5)
ORIGINAL = TrainRecipe(
    images=IMAGES,
    architecture=zoo.Architecture(name="lenet", classes=10, size=12),
    settings=TRAIN.replace(epochs=8, batch_size=32, learning_rate=0.05),
)
HARDENED = HardenedRecipe(
    original=ORIGINAL,
    images=IMAGES,
    target="server",
    settings=QatSettings(calibration=PtqSettings(calibration_images=64), train=TRAIN),
    defence=Divqat(alpha=77.0, cap=3.0),
)


def tuning(**allowance):
    return TunedRecipe(hardened=HARDENED, allowance=Allowance(**{"high": 4.0, **allowance}))


@pytest.fixture(scope="module")
def labels():
    return images.open_splits(IMAGES).validation.labels


@pytest.fixture
def world(labels, monkeypatch):
    """Answers without a training: moved by `l1(strength)`, with `wrong(strength)` images mislabelled.

    A plain model gives each label 0.91; another seed of it moves the answers by `floor`.
    """

    class World:
        l1 = staticmethod(lambda strength: 0.3 * strength)
        wrong = staticmethod(lambda strength: 0)
        floor = 0.1
        asked = ()

    plain = torch.full((len(labels), 10), 0.01).scatter(1, labels[:, None], 0.91)

    def moved(distance):
        answers = plain.clone()
        rows = torch.arange(len(labels))
        answers[rows, labels] -= distance / 2
        answers[rows, (labels + 1) % 10] += distance / 2
        return answers

    def answers(recipe, given, store, progress):
        assert torch.equal(given.labels, labels)
        World.asked += (recipe,)
        if isinstance(recipe, AdaptRecipe):
            return plain if recipe == recipe_of.plain() else moved(World.floor)
        found = moved(World.l1(recipe.defence.alpha))
        count = World.wrong(recipe.defence.alpha)
        found[:count] = found[:count].roll(5, dims=1)
        return found

    recipe_of = tuning()
    original = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 12, 10))
    monkeypatch.setattr(module, "_answers", answers)
    monkeypatch.setattr(module, "open_original", lambda recipe, store, progress: original)
    World.original = original
    World.plain = plain
    World.moved = staticmethod(moved)
    yield World
    World.asked = ()


def searched(recipe, tmp_path, progress=silent):
    return module._search(recipe, Store(tmp_path), progress)


def test_the_plain_models_are_the_trainings_without_the_defence():
    recipe = tuning()
    plain, other = recipe.plain(), recipe.plain(1)
    assert plain == AdaptRecipe(
        original=ORIGINAL, images=IMAGES, method="qat", target="server", settings=HARDENED.settings
    )
    assert other.settings.train == TRAIN.replace(seed=6)
    assert other.settings.calibration == plain.settings.calibration


def test_a_trial_is_the_training_at_another_strength():
    assert tuning().at(0.5) == HARDENED.replace(defence=Divqat(alpha=0.5, cap=3.0))
    # Strength 0 is the plain training, but for a defence that does something at 0 and for a training in float.
    assert tuning().at(0.0) == tuning().plain()
    for changed in ({"defence": MisleadingTargets()}, {"stage": "float"}):
        other = TunedRecipe(hardened=HARDENED.replace(**changed), allowance=Allowance(high=2.0))
        assert other.at(0.0) == other.hardened.replace(defence=other.hardened.defence.with_strength(0.0))
    # The strength that the description itself names is left aside.
    other = TunedRecipe(hardened=HARDENED.replace(defence=Divqat(alpha=1.0, cap=3.0)))
    assert other.at(0.5) == tuning().at(0.5)


def test_the_l1_budget_bounds_a_dial(world, tmp_path):
    search = searched(tuning(l1=0.6, reached=1.0, steps=8), tmp_path)
    assert 2 - 4 / 2**8 <= search.chosen <= 2 + 1e-6
    assert len(search.trials) == 10
    assert search.beyond_noise
    assert search.floor == pytest.approx(0.1, abs=1e-6)
    assert search.reference_accuracy == 1
    chosen = next(trial for trial in search.trials if trial.strength == search.chosen)
    assert search.verdict.startswith(
        f"strength {search.chosen:g} moves the answers by l1 {chosen.l1:.3f}, of 0.6 allowed; two seeds differ by 0.100"
    )


def test_a_dial_is_turned_until_the_budget_is_nearly_used(world, tmp_path):
    search = searched(tuning(high=3.8), tmp_path)
    assert [trial.strength for trial in search.trials] == [0.0, 1.9, 3.8]
    assert (search.chosen, search.refused) == (1.9, 3.8)
    assert search.trial(1.9).l1 == pytest.approx(0.57)
    # 0.57 of 0.6 is not 96 % of it.
    finer = searched(tuning(high=3.8, reached=0.96), tmp_path)
    assert finer.trial(finer.chosen).l1 >= 0.96 * 0.6
    assert len(finer.trials) > 3


@pytest.mark.parametrize("bracket", [0.3, 0.01, 5.0])
def test_a_cliff_is_narrowed_to_the_bracket_and_both_sides_are_told(world, labels, tmp_path, bracket):
    world.l1 = lambda strength: 0.02 * strength if strength < 1.3 else 1.6
    world.wrong = lambda strength: 0 if strength < 1.3 else len(labels)
    recipe = tuning(bracket=bracket)
    search = searched(recipe, tmp_path)
    assert search.chosen < 1.3 <= search.refused < search.chosen + bracket
    # No trial more than it takes.
    assert len(search.trials) == 2 + recipe.allowance.most_steps
    assert 2 ** (recipe.allowance.most_steps - 1) <= max(1.0, 4.0 / bracket)
    beyond = search.trial(search.refused)
    assert search.verdict.endswith(f"; strength {beyond.strength:g} is refused: l1 {beyond.l1:.3f}, accuracy 0.0 %")


def diverging(above):
    def l1(strength):
        if strength > above:
            raise errors.DivergedError("the loss is nan at epoch 1, step 3: training diverged")
        return 0.1 * strength

    return l1


def test_a_training_that_diverges_is_refused_and_the_search_goes_on(world, tmp_path):
    world.l1, told = diverging(above=1.2), []
    search = searched(tuning(bracket=0.3), tmp_path, lambda *given: told.append(given[3]))
    assert search.chosen < 1.2 < search.refused < search.chosen + 0.3
    assert [trial.strength for trial in search.trials] == [0.0, 1.0]
    assert search.diverged == (1.25, 1.5, 2.0, 4.0)
    assert search.verdict.endswith("; strength 1.25 is refused: its training diverged")
    assert told[1] == "strength 4: its training diverged"
    assert Search.model_validate_json(search.model_dump_json()) == search


def test_where_every_training_diverges_the_plain_program_stands_in(world, tmp_path):
    world.l1 = diverging(above=0.5)
    search = searched(tuning(low=1.0), tmp_path)
    assert (search.chosen, search.refused, search.trials, search.diverged) == (None, 1.0, (), (1.0,))
    assert search.verdict.endswith("the plain quantization-aware model is used instead; strength 1 is refused: its "
                                   "training diverged")  # fmt: skip


def test_other_errors_end_the_search(world, tmp_path):
    def broken(strength):
        raise errors.ModelError("the weights do not fit")

    world.l1 = broken
    with pytest.raises(errors.ModelError, match="do not fit"):
        searched(tuning(), tmp_path)


def test_any_loss_of_accuracy_may_be_allowed(world, labels, tmp_path):
    world.wrong = lambda strength: len(labels) // 10
    assert searched(tuning(low=0.5, high=1.0, accuracy_drop=None), tmp_path).chosen == 1.0
    assert searched(tuning(low=0.5, high=1.0), tmp_path).chosen is None


def test_the_accuracy_bounds_it_too(world, labels, tmp_path):
    world.l1 = lambda strength: 0.1 * strength
    world.wrong = lambda strength: int(10 * strength)
    search = searched(tuning(l1=2.0, accuracy_drop=20.5 / len(labels), steps=8), tmp_path)
    assert search.refused == pytest.approx(search.chosen + 4 / 2**8)
    assert 2.1 - 4 / 2**8 <= search.chosen < 2.1
    for trial in search.trials:
        assert trial.allowed == (trial.strength < 2.1)
        assert trial.accuracy == 1 - int(10 * trial.strength) / len(labels) == pytest.approx(1 - trial.changed)


@pytest.mark.parametrize("count", range(1, 40, 3))
def test_a_drop_of_just_what_is_allowed_is_allowed(world, labels, tmp_path, count):
    world.wrong = lambda strength: 0 if strength == 0 else count
    for allowed, drop in ((True, count / len(labels)), (False, (count - 1) / len(labels))):
        search = searched(tuning(l1=2.0, accuracy_drop=drop, high=0.1, steps=0), tmp_path)
        assert search.chosen == (0.1 if allowed else 0.0)


def test_a_jump_is_found_and_the_noise_is_told(world, tmp_path):
    world.l1 = lambda strength: 0.05 * strength if strength < 1.3 else 1.6
    search = searched(tuning(bracket=0.004), tmp_path)
    assert 1.3 - 4 / 2**10 <= search.chosen < 1.3
    assert not search.beyond_noise
    assert search.verdict == (
        f"strength {search.chosen:g} moves the answers by l1 0.065, no more than the 0.100 between two seeds: "
        f"no allowed setting beats the noise; strength {search.refused:g} is refused: l1 1.600, accuracy 0.0 %"
    )
    assert [trial.strength for trial in search.trials] == sorted(trial.strength for trial in search.trials)
    assert [trial.allowed for trial in search.trials] == [trial.strength < 1.3 for trial in search.trials]


def test_as_much_as_the_noise_is_not_beyond_it(world, tmp_path):
    world.l1 = lambda strength: 0.1
    assert not searched(tuning(steps=0), tmp_path).beyond_noise
    world.l1 = lambda strength: 0.11
    assert searched(tuning(steps=0), tmp_path).beyond_noise


def test_a_weaker_setting_that_does_more_is_not_denied(world, tmp_path):
    world.l1 = lambda strength: {1.0: 0.3, 4.0: 1.0, 2.5: 0.05}[strength]
    search = searched(tuning(low=1.0, steps=1), tmp_path)
    assert (search.chosen, search.beyond_noise) == (2.5, False)
    assert "no more than the 0.100 between two seeds, though a weaker setting does more; strength" in search.verdict


def test_all_is_allowed(world, tmp_path):
    search = searched(tuning(high=1.5), tmp_path)
    assert search.chosen == 1.5
    assert [trial.strength for trial in search.trials] == [0.0, 1.5]


def test_nothing_is_allowed(world, tmp_path):
    search = searched(tuning(low=3.0), tmp_path)
    assert search.chosen is None
    assert not search.beyond_noise
    assert [trial.strength for trial in search.trials] == [3.0]
    assert search.verdict == (
        "no strength stays within the allowance; the plain quantization-aware model is used instead; strength 3 is "
        "refused: l1 0.900, accuracy 100.0 %"
    )


def test_a_trials_figures_are_those_of_numpy(world, labels, tmp_path):
    world.wrong = lambda strength: 7
    (_, trial) = searched(tuning(l1=2.0, accuracy_drop=1.0, high=1.5), tmp_path).trials
    answers = world.moved(0.45)
    answers[:7] = answers[:7].roll(5, dims=1)
    found, plain = answers.double().numpy(), world.plain.double().numpy()
    validation = images.open_splits(IMAGES).validation
    original = twin_scores(world.original, validation.images).double().softmax(1).numpy()
    ordered = np.sort(found, axis=1)
    assert trial.l1 == pytest.approx(np.abs(found - plain).sum(1).mean())
    assert trial.divergence == pytest.approx((found * np.log(found / original)).sum(1).mean(), rel=1e-5)
    assert trial.accuracy == pytest.approx((found.argmax(1) == labels.numpy()).mean())
    assert trial.changed == pytest.approx((found.argmax(1) != plain.argmax(1)).mean())
    assert (trial.top1, trial.top2) == pytest.approx((ordered[:, -1].mean(), ordered[:, -2].mean()), rel=1e-5)


def test_the_search_tells_how_far_it_is(world, tmp_path):
    told = []
    searched(tuning(steps=3, reached=1.0), tmp_path, lambda *given: told.append(given))
    assert [given[:3] for given in told] == [("search", done, 5) for done in range(1, 6)]
    assert told[1][3] == "strength 4: l1 1.200"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"low": 2.0, "high": 1.0}, "low is 2 and high 1; low must be below high"),
        ({"low": 1.0, "high": 1.0}, "low is 1 and high 1"),
        ({"l1": 2.5}, "l1 is 2.5"),
        ({"l1": 0.0}, "l1 is 0.0"),
        ({"accuracy_drop": -0.1}, "accuracy_drop is -0.1"),
        ({"steps": -1}, "steps is -1"),
        ({"low": -1.0}, "low is -1.0"),
    ],
)
def test_an_allowance_that_is_none_is_refused(fields, text):
    with pytest.raises(errors.RecipeError, match=text):
        Allowance(**fields)


def test_strengths_that_a_defence_lacks_are_refused_before_the_work():
    smooth = HARDENED.replace(defence=LabelSmoothing())
    with pytest.raises(errors.RecipeError, match=r"LabelSmoothing.share is 4.0; it must be less than 1"):
        TunedRecipe(hardened=smooth, allowance=Allowance(high=4.0))
    assert TunedRecipe(hardened=smooth, allowance=Allowance(high=0.9)).at(0.5).defence == LabelSmoothing(share=0.5)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def program(lenet, digits):
    return ptq(lenet, digits.train, target="server", calibration_images=32)


@pytest.fixture
def counted(world, program, monkeypatch):
    """Trainings that cost nothing, each counted by its name; what a program answers is the world's business."""
    made = []

    def produce(recipe, folder, store, progress):
        made.append(recipe.digest())
        named = {"recipe": recipe.digest()}
        provenance = program.provenance.replace(settings=named)
        Program(**{**vars(program), "provenance": provenance}).save(folder / "program.safetensors")

    answers = module._answers

    def trained(recipe, given, store, progress):
        store.get(recipe, progress)
        return answers(recipe, given, store, progress)

    monkeypatch.setattr(HardenedRecipe, "produce", produce)
    monkeypatch.setattr(AdaptRecipe, "produce", produce)
    monkeypatch.setattr(module, "_answers", trained)
    return made


def whose(folder):
    return Program.load(folder / "program.safetensors").provenance.settings["recipe"]


def test_a_killed_search_trains_nothing_twice(counted, tmp_path):
    recipe, store = tuning(steps=4, reached=1.0), Store(tmp_path)

    def kill(task, done, total, note=""):
        if task == "search" and done == 3:
            raise KilledError

    with pytest.raises(KilledError):
        store.get(recipe, kill)
    assert len(counted) == 2 + 2  # The plain models, and the trials that are not at 0.
    folder = store.get(recipe)
    assert len(counted) == len(set(counted)) == 2 + 5
    assert {path.name for path in folder.iterdir()} == {
        "program.safetensors",
        "search.json",
        "recipe.json",
        "SHA256SUMS",
    }
    search = recipe.search(store, silent)
    assert whose(folder) == recipe.at(search.chosen).digest()
    # A finer search of the same bracket starts from the trials that there are.
    store.get(tuning(steps=5, reached=1.0))
    assert len(counted) == 2 + 6


def test_the_plain_program_stands_in_where_nothing_is_allowed(counted, tmp_path):
    recipe, store = tuning(low=3.0), Store(tmp_path)
    search = recipe.search(store, silent)
    assert search.chosen is None
    assert whose(store.get(recipe)) == recipe.plain().digest()
    assert len(counted) == 3


def test_a_search_is_read_as_it_was_written(counted, tmp_path):
    recipe, store = tuning(steps=3), Store(tmp_path)
    first = recipe.search(store, silent)
    assert first == searched(recipe, tmp_path)
    assert recipe.search(store, silent) == first
    told = json.loads((store.get(recipe) / "search.json").read_text())
    assert list(told) == ["allowance", "reference_accuracy", "floor", "chosen", "beyond_noise", "trials", "refused"]


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff\xfe", None])
def test_a_damaged_search_is_told(counted, tmp_path, content):
    recipe, store = tuning(steps=0), Store(tmp_path)
    path = store.get(recipe) / "search.json"
    path.unlink()
    # As an earlier version left it: what is sealed is refused before anybody reads it.
    (path.parent / "SHA256SUMS").unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(errors.StoreError, match=r"search\.json.*; delete its folder and run again"):
        recipe.search(store, silent)


def test_the_name_holds_these_fields_and_no_others():
    told = json.loads(tuning().canonical_json())
    assert sorted(told) == ["allowance", "hardened", "type", "version"]
    assert sorted(told["allowance"]) == ["accuracy_drop", "bracket", "high", "l1", "low", "reached"]
    assert TunedRecipe.model_validate_json(tuning().canonical_json()).digest() == tuning().digest()
    assert tuning().inputs() == (HARDENED,)


def test_a_search_that_trains(tmp_path, labels):
    store = Store(tmp_path)
    recipe = tuning(high=64.0, l1=0.8, accuracy_drop=0.3, steps=1)
    search = recipe.search(store, silent)
    assert [trial.strength for trial in search.trials] == [0.0, 32.0, 64.0] or search.chosen == 64.0
    weakest, strongest = search.trials[0], search.trials[-1]
    # Strength 0 is the plain training itself.
    assert (weakest.l1, weakest.changed, weakest.accuracy) == (0.0, 0.0, search.reference_accuracy)
    assert strongest.divergence > 5 * weakest.divergence
    assert 0 < search.floor < 0.5
    assert search.chosen in [trial.strength for trial in search.trials if trial.allowed]
    program = (store.get(recipe) / "program.safetensors").read_bytes()
    assert program == (store.get(recipe.at(search.chosen)) / "program.safetensors").read_bytes()
    validation = images.open_splits(IMAGES).validation
    first, second = (
        twin_scores(twin(Program.load(store.get(named) / "program.safetensors")), validation.images)
        for named in (recipe.plain(), recipe.at(strongest.strength))
    )
    gap = np.abs(first.double().softmax(1).numpy() - second.double().softmax(1).numpy()).sum(1).mean()
    assert strongest.l1 == pytest.approx(gap, rel=1e-5)
    right = (second.argmax(1) == labels).double().mean()
    assert strongest.accuracy == pytest.approx(float(right))


def test_a_verdict_needs_no_training():
    trial = Trial(strength=1.0, l1=0.25, divergence=1.0, accuracy=0.9, changed=0.0, top1=0.8, top2=0.1, allowed=True)
    search = Search(
        allowance=Allowance(), reference_accuracy=0.9, floor=0.1, chosen=1.0, beyond_noise=True, trials=(trial,)
    )
    assert search.verdict == (
        "strength 1 moves the answers by l1 0.250, of 0.6 allowed; two seeds differ by 0.100; the search tries none "
        "above 2"
    )


@pytest.mark.parametrize(
    ("chosen", "refused", "end"),
    [
        (1.0, None, "; strength 1.5 is refused: l1 1.500, accuracy 10.0 %"),
        (1.0, 1.5, "; strength 1.5 is refused: l1 1.500, accuracy 10.0 %"),
        (1.5, None, "; the search tries none above 2"),
        (None, None, "; strength 1 is refused: l1 0.250, accuracy 90.0 %"),
    ],
)
def test_a_document_without_the_refused_strength_has_its_trial(chosen, refused, end):
    figures = {"divergence": 1.0, "changed": 0.0, "top1": 0.8, "top2": 0.1}
    trials = (
        Trial(strength=1.0, l1=0.25, accuracy=0.9, allowed=True, **figures),
        Trial(strength=1.5, l1=1.5, accuracy=0.1, allowed=False, **figures),
    )
    search = Search(
        allowance=Allowance(), reference_accuracy=0.9, floor=0.1, chosen=chosen, beyond_noise=False, trials=trials,
        refused=refused,
    )  # fmt: skip
    assert search.verdict.endswith(end)


def test_trials_are_kept_with_the_search_that_made_them(tmp_path, monkeypatch):
    """Whatever their strength, and finished or not; other trainings are not."""
    store = Store(tmp_path)
    monkeypatch.setattr(HardenedRecipe, "produce", lambda *_: None)
    trials = [HARDENED.replace(defence=Divqat(alpha=alpha, cap=3.0)) for alpha in (0.5, 4.0)]
    others = [
        HARDENED.replace(defence=Divqat(alpha=0.5, cap=2.0)),
        HARDENED.replace(defence=LabelSmoothing(share=0.5)),
        trials[0].replace(stage="float"),
        trials[0].replace(settings=QatSettings(train=TRAIN.replace(seed=6))),
    ]
    for step in (*trials, *others):
        store.get(step)
    names = [f"hardened-{step.digest()}" for step in trials]
    (tmp_path / names[1]).rename(tmp_path / ".work" / names[1])
    reached = reachable([tuning()], store)
    assert {name for name in reached if name.startswith("hardened-")} == set(names)
    assert sorted(step.digest() for step in tuning().asked(store)) == sorted(step.digest() for step in trials)
