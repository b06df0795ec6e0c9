"""A theft without images as the store keeps it: its figures, its files, its diagnosis, and one that is killed."""

import itertools
import json

import pytest
import torch

from edgerift import zoo
from edgerift.adapt import given_original
from edgerift.defend import ReverseSigmoid, TopK
from edgerift.deploy import (
    BuildRecipe,
    Program,
    given_build,
    given_program,
    open_build,
    twin,
    twin_scores,
    unrounded_twin,
)
from edgerift.errors import InputError, RecipeError
from edgerift.evade import read_png
from edgerift.extract import DataFree, DataFreeRecipe, Differences, Oracle, Positives
from edgerift.extract import _datafree_recipe as recipe_module
from edgerift.images import is_grey, open_splits, to_float
from edgerift.steps import Store, silent

SMALL = {"student": "lenet", "batch_size": 8, "latent": 8, "width": 4, "seed": 1}
DFME = DataFree(name="dfme", differences=Differences(epsilon=0.5, split=True), **SMALL)
FILES = {"theft.json", "clone.safetensors", "curve.png", "samples.png", "ledger.stream", "recipe.json", "SHA256SUMS"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def theft_of(small_pair):
    program = given_program(small_pair.folder / "program.safetensors")

    def make(**changes):
        fields = {
            "victim": BuildRecipe(program=program, runtime="onnxruntime"),
            "images": small_pair.images,
            "budget": 4 * DFME.queries + 5,
            "attack": DFME,
            "points": 2,
        }
        return DataFreeRecipe(**{**fields, **changes})

    return make


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_two_devices_share_a_theft(theft_of, store) -> None:
    pytest.importorskip("lightning_fabric")
    recipe = theft_of(attack=DFME.replace(devices=2))
    told = []
    folder = store.get(recipe, lambda *given: told.append(given))
    theft = recipe.theft(store, silent)
    assert names(folder) == FILES | {"ledger-1.stream"}
    assert theft.spent == 4 * DFME.queries
    assert [point.queries for point in theft.curve] == [2 * DFME.queries, 4 * DFME.queries]
    assert all(point.measured is not None and point.measured.masking is not None for point in theft.curve)
    assert [given[1] for given in told if given[0] == "steal"] == [DFME.queries * number for number in (1, 2, 3, 4)]


def test_a_theft_that_was_killed_while_it_cleared_up_is_not_done_again(theft_of, store, monkeypatch) -> None:
    recipe = theft_of(points=1)
    cleared = type(store.root).unlink

    def die(path, **options):
        if path.name == "ledger.stream.answers":
            raise KeyboardInterrupt
        cleared(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(type(store.root), "unlink", die)
        with pytest.raises(KeyboardInterrupt):
            store.get(recipe)
    assert not store.has(recipe)
    monkeypatch.setattr(recipe_module, "data_free", None)
    assert names(store.get(recipe)) == FILES


def test_the_figures_and_files_of_a_theft(theft_of, small_pair, store) -> None:
    recipe = theft_of(defences=(ReverseSigmoid(beta=0.4),))
    theft = recipe.theft(store, silent)
    folder = store.get(recipe)
    assert names(folder) == FILES
    assert (theft.budget, theft.spent) == (recipe.budget, 4 * DFME.queries)
    assert [point.queries for point in theft.curve] == [2 * DFME.queries, 4 * DFME.queries]
    test = open_splits(small_pair.images).test
    stolen = twin_scores(zoo.load(folder / "clone.safetensors"), test.images).argmax(1)
    assert theft.adversary_error.value == pytest.approx(float((stolen != test.labels).double().mean()))
    held = open_splits(small_pair.images).validation
    wrong = twin_scores(zoo.load(folder / "clone.safetensors"), held.images).argmax(1) != held.labels
    assert theft.validation_error is not None
    assert theft.validation_error.value == pytest.approx(float(wrong.double().mean()))
    # With so few test images the curve is drawn on all of them, and its last point is the clone itself.
    last = theft.curve[-1].measured
    assert last is not None
    assert last.error == pytest.approx(theft.adversary_error.value)
    assert last.disagreement == pytest.approx(theft.disagreement.value)
    assert last.divergence == pytest.approx(theft.divergence.value)
    assert last.masking is not None
    assert last.masking.epsilon == 0.5
    assert theft.l1.value > 0


def test_the_ledger_has_what_was_paid_for_and_no_answers_unless_they_are_kept(theft_of, store) -> None:
    kept = theft_of(budget=DFME.queries, keep=True)
    other = Store(store.root.parent / "kept")
    bare = store.get(kept.replace(keep=False))
    assert names(bare) == FILES
    assert names(other.get(kept)) == FILES | {"ledger.stream.answers"}
    # The twin of a theft that keeps its answers is the same step: what is kept changes no result.
    assert kept.digest() == kept.replace(keep=False).digest()
    assert (bare / "theft.json").read_bytes() == (other.get(kept) / "theft.json").read_bytes()


def test_clones_that_vote_are_all_kept(theft_of, store) -> None:
    attack = DataFree(name="disguide", rehearsal={"steps": 1, "capacity": 64}, **SMALL)
    recipe = theft_of(attack=attack, budget=40)
    theft = recipe.theft(store, silent)
    folder = store.get(recipe)
    assert names(folder) == FILES | {"clone-2.safetensors"}
    assert theft.curve[-1].zero_share is None
    assert theft.curve[-1].measured is not None
    assert theft.curve[-1].measured.masking is None
    test = open_splits(recipe.images).test
    clones = [zoo.load(folder / name) for name in ("clone.safetensors", "clone-2.safetensors")]
    voted = torch.stack([twin_scores(clone, test.images).softmax(1) for clone in clones]).mean(0).argmax(1)
    assert theft.adversary_error.value == pytest.approx(float((voted != test.labels).double().mean()))


def test_a_simulated_victim_is_the_program_without_rounding(theft_of, small_pair, store, monkeypatch) -> None:
    asked = []
    real = recipe_module.Oracle

    def oracle(victim, **given):
        asked.append((victim, given["pixels"]))
        return real(victim, **given)

    monkeypatch.setattr(recipe_module, "Oracle", oracle)
    recipe = theft_of(simulated=True, pixels="float", budget=DFME.queries)
    theft = recipe.theft(store, silent)
    ((victim, pixels),) = asked
    program = Program.load(small_pair.folder / "program.safetensors")
    images = to_float(open_splits(small_pair.images).test.images[:64])
    assert pixels == "float"
    assert torch.equal(victim(images), unrounded_twin(program)(images))
    near, rounded = victim(images), twin(program)(images)
    assert not torch.equal(near, rounded)
    assert float((near - rounded).abs().max()) < 0.1 * float(rounded.abs().max())
    assert theft.simulated
    assert theft.curve[-1].measured.masking.zero_share == 0


@pytest.mark.parametrize("in_colour", [False, True])
def test_the_digits_victim_is_asked_about_grey_images_unless_colour_is_asked_for(
    theft_of, store, monkeypatch, in_colour
) -> None:
    given, real = [], recipe_module.data_free

    def spied(oracle, attack, **options):
        given.append(options["grey"])
        return real(oracle, attack, **options)

    monkeypatch.setattr(recipe_module, "data_free", spied)
    recipe = theft_of(in_colour=in_colour, budget=DFME.queries + 1)
    sheet = recipe.theft(store, silent) and read_png(store.get(recipe, silent) / "samples.png")
    assert given == [not in_colour]
    assert is_grey(sheet[None]) is not in_colour
    assert ("in_colour" in recipe.canonical_json()) is in_colour


def test_a_build_given_as_a_file_is_diagnosed_with_its_program_alone(theft_of, small_pair, store) -> None:
    build = given_build(small_pair.folder / "model.onnx")
    bare = theft_of(victim=build, budget=DFME.queries)
    assert bare.theft(store, silent).curve[-1].measured.masking is None
    known = bare.replace(program=given_program(small_pair.folder / "program.safetensors"))
    assert known.theft(store, silent).curve[-1].measured.masking is not None


def test_a_float_victim_is_its_own_smooth_counterpart(theft_of, small_pair, store) -> None:
    original = given_original(small_pair.folder / "original.safetensors")
    attack = DFME.replace(differences=Differences(epsilon=1e-2))
    theft = theft_of(victim=original, pixels="float", attack=attack, budget=attack.queries).theft(store, silent)
    found = theft.curve[-1].measured.masking
    assert found.zero_share == 0
    assert found.correlation > 0.99
    assert found.ratio == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_a_theft_that_is_killed_ends_as_one_that_is_not(theft_of, tmp_path) -> None:
    recipe = theft_of()
    whole, killed = Store(tmp_path / "whole"), Store(tmp_path / "killed")
    for step in (0, 1, 0):
        told = itertools.count(1)

        def progress(task, *_, told=told, step=step):
            if task == "steal" and next(told) > step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            recipe.theft(killed, progress)
    recipe.theft(killed, silent)
    # The ledgers are equal as well, so no image was paid for twice.
    for name in FILES:
        assert (whole.get(recipe) / name).read_bytes() == (killed.get(recipe) / name).read_bytes()


def test_it_needs_its_victim_and_the_program_behind_it(theft_of, small_pair, store) -> None:
    made = theft_of()
    assert made.needs(store) == (made.victim, made.victim.program)
    given = theft_of(victim=given_build(small_pair.folder / "model.onnx"))
    assert given.needs(store) == (given.victim,)
    known = given.replace(program=made.victim.program)
    assert known.needs(store) == (given.victim, made.victim.program)


WRONG = [
    ({"defences": (TopK(k=2, renormalise=False),)}, "top-k with renormalise true"),
    ({"budget": DFME.queries - 1}, f"less than the {DFME.queries} queries of one iteration"),
    ({"pixels": "float"}, "a build accepts whole grey levels only"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_does_not_fit_is_refused(theft_of, changes, message) -> None:
    with pytest.raises(RecipeError, match=message):
        theft_of(**changes)


def test_simulating_a_build_without_its_program_is_refused(theft_of, small_pair) -> None:
    with pytest.raises(RecipeError, match="whose program is known"):
        theft_of(victim=given_build(small_pair.folder / "model.onnx"), simulated=True)


def test_more_positives_than_there_are_training_images_are_refused(theft_of, store) -> None:
    attack = DFME.replace(positives=Positives(count=1_000_000))
    with pytest.raises(InputError, match="is 1000000 and there are 1294 training images"):
        theft_of(attack=attack, budget=attack.queries).theft(store, silent)


def test_the_recipe_survives_json(theft_of) -> None:
    recipe = theft_of(attack=DataFree(name="maze", positives=Positives(count=3), **SMALL), budget=10_000)
    again = DataFreeRecipe.model_validate(json.loads(recipe.model_dump_json()) | {"victim": recipe.victim})
    assert again.digest() == recipe.digest()


def test_an_oracle_of_a_build_takes_no_float_images(small_pair) -> None:
    with pytest.raises(InputError, match="uint8 images only"):
        Oracle(open_build(small_pair.folder / "model.onnx"), budget=1, pixels="float")
