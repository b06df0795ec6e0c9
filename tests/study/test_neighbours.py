"""Bit flips and differential testing of a study's builds, and attacks on training images."""

import pytest
import torch

from edgerift.adapt import FinetuneRecipe
from edgerift.differ import DifferSettings
from edgerift.errors import RecipeError
from edgerift.evade import Attack, EvadeRecipe
from edgerift.facts import readings as of
from edgerift.flips import FlipSettings
from edgerift.images import open_splits
from edgerift.steps import Store, silent
from edgerift.study import PairRecipe, Study, make_cells

ATTACK = Attack(epsilon=16, steps=2)
STUDY = {
    "study": "tiny",
    "title": "Tiny",
    "seeds": [3],
    "size": 16,
    "data": {"digits": {}},
    "originals": {"Small": {"model": "lenet", "count": 7}, "Large": {"model": "resnet8"}},
    "evasion": {
        "adaptations": ["ptq", "finetune", "prune+qat"],
        "attacks": {"white": {"preset": "default"}},
        "shown": "white",
        "count": 5,
        "split": "train",
        "flips": {"flips": 4},
        "differ": {"constraint": "light"},
    },
}


def changed(**evasion):
    return Study.model_validate({**STUDY, "evasion": {**STUDY["evasion"], **evasion}})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def pairing(small_pair):
    def make(**changes):
        fields = {"pair": small_pair.settings(), "images": small_pair.images, "attacks": {"a": ATTACK}, "count": 12}
        return PairRecipe(**{**fields, **changes})

    return make


def test_every_build_is_flipped_and_tested_and_no_float_model():
    cells = make_cells(changed())
    flipped = {(cell.original, cell.kind) for cell in cells if cell.recipe.flipping is not None}
    assert flipped == {(name, kind) for name in ("Small", "Large") for kind in ("ptq", "prune+qat")}
    assert flipped == {(cell.original, cell.kind) for cell in cells if cell.recipe.differing is not None}
    recipe = cells[0].recipe
    assert recipe.flipping.program == recipe.pair.program
    assert (recipe.flips.flips, recipe.flips.seed, recipe.flips.candidates) == (4, 3, FlipSettings().candidates)
    assert (recipe.differ.constraint, recipe.differ.seed) == ("light", 3)
    assert {recipe.flipping, recipe.differing} <= set(recipe.needs(Store("/nonexistent")))


def test_a_network_has_its_own_count_and_all_the_plans_split():
    cells = make_cells(changed())
    assert {(cell.original, cell.recipe.count) for cell in cells} == {("Small", 7), ("Large", 5)}
    assert {cell.recipe.searching("white").split for cell in cells} == {"train"}


def test_descriptions_of_before_are_as_they_were():
    study = changed(split="test", flips=None, differ=None)
    assert not {"split", "flips", "differ"} & set(study.evasion.model_dump())
    assert "count" not in study.originals["Large"].model_dump()
    recipe = make_cells(study)[0].recipe
    assert not {"split", "flips", "differ"} & set(recipe.model_dump())
    assert not any(
        "split" in step.model_dump() for step in (recipe.searching("white"), *recipe.searching("white").selections)
    )


@pytest.mark.parametrize(
    ("evasion", "told"),
    [
        ({"flips": {"flip": 3}}, "did you mean 'flips'"),
        ({"flips": {"seed": 3}}, "the study's seeds are given to every step"),
        ({"differ": {"constraint": "dark"}}, r"constraint.* is 'dark'"),
        ({"split": "tran"}, "did you mean 'train'"),
    ],
)
def test_what_does_not_fit_is_told(evasion, told):
    with pytest.raises(RecipeError, match=told):
        changed(**evasion)


def test_a_count_belongs_to_an_evasion():
    with pytest.raises(RecipeError, match=r"originals.Small.count is given; it changes an evasion"):
        Study.model_validate(
            {**{key: one for key, one in STUDY.items() if key != "evasion"}, "theft": {"rows": ["qat"]}}
        )


def test_a_control_has_no_bits_to_flip(small_pair, pairing):
    pair = small_pair.settings()
    control = FinetuneRecipe(original=pair.original, images=small_pair.images)
    with pytest.raises(RecipeError, match="flips and differ are for builds"):
        pairing(pair=pair.replace(control=control), differ=DifferSettings())
    with pytest.raises(RecipeError, match="the pair has none; leave flips out"):
        pairing(pair=pair.replace(program=None), flips=FlipSettings())


def test_training_images_are_attacked_and_test_images_measure(pairing, store, small_pair):
    splits = open_splits(small_pair.images)
    recipe = pairing(split="train", count=9)
    found = recipe.searching("a").open(store, silent)
    known = {image.numpy().tobytes() for image in splits.train.images}
    assert all(image.numpy().tobytes() in known for image in found.clean)
    assert not {image.numpy().tobytes() for image in found.clean} & {
        one.numpy().tobytes() for one in splits.test.images
    }
    report = recipe.open(store, silent)
    assert report.attacked == 9
    assert report.build_accuracy.trials == len(splits.test)
    plain = EvadeRecipe(pair=recipe.pair, images=recipe.images, attack=ATTACK, count=9).open(store, silent)
    assert not torch.equal(plain.clean, found.clean)


@pytest.mark.slow
def test_the_report_is_a_summary_of_both(pairing, store):
    recipe = pairing(
        flips=FlipSettings(flips=2, images=16, trials=1, candidates=1), differ=DifferSettings(epsilon=16, steps=4)
    )
    report = recipe.open(store, silent)
    flips, differ = recipe.flipping.open(store, silent), recipe.differing.open(store, silent)
    assert (report.flips.trials, report.flips.flipped) == (1, flips.trials[0].accuracy)
    assert report.flips.reached == sum(trial.needed is not None for trial in flips.trials)
    assert report.flips.random == flips.random[0].accuracy
    assert (report.differ.search, report.differ.p) == (differ.search, differ.p)
    assert differ.search.images == 12
    found = {fact.reading: fact.value for fact in of.DIFFER.facts(report.differ, {})}
    assert found[of.DIFFERENCES] == differ.search.found.value
    assert found[of.DIFFER_SEARCH_ALONE] - found[of.DIFFER_CHANCE_ALONE] == (
        differ.search.found.successes - differ.control.found.successes
    )
