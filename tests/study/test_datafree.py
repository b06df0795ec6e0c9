"""Thefts without images in a study: what its file may say, which cells it makes, and what becomes of them."""

import json

import pytest
from made_datafree import made_thefts
from wrong_studies import read_text, require_told

from edgerift.errors import RecipeError
from edgerift.extract import DataFree, Differences
from edgerift.harden import DataFreeHardenRecipe, HardenRecipe
from edgerift.steps import Store, write_whole
from edgerift.study import Cell, Study, StudyResult, collect, make_cells

TEXT = """\
study: tiny                                    # 1
title: Tiny                                    # 2
seeds: [3, 5]                                  # 3
size: 12                                       # 4
data:                                          # 5
  digits: {}                                   # 6
  other: {source: digits, size: 16}            # 7
originals:                                     # 8
  LeNet: {model: lenet}                        # 9
theft:                                         # 10
  rows: [qat, divqat]                          # 11
  targets: [server, mobile]                    # 12
  data_free:                                   # 13
    attacks:                                   # 14
      dfme:                                    # 15
        student: lenet                         # 16
        differences: {epsilon: 0.1, split: on} # 17
      disguide: {batch_size: 8}                # 18
    rows: [divqat, large, qat]                 # 19
    epsilons: [5, 0.01]                        # 20
    controls: off                              # 21
    budget: 4096                               # 22
    points: 3                                  # 23
    data: [digits]                             # 24
    seeds: [5]                                 # 25
    budgets: {disguide: 512}                   # 26
profiles: {as_it_is: {}}                       # 27
"""

CHANGES = [
    # (what in the text, by what, the line, what is told)
    ("      dfme:  ", "      dmfe:  ", 15, "theft.data_free.attacks.dmfe is 'dmfe'; it must be 'dfme', 'maze'"),
    ("student: lenet", "student: lent", 16, "attacks.dfme.student: unknown model 'lent'; did you mean 'lenet'?"),
    ("student: lenet", "student: my.module:factory", 16, None),
    ("student: lenet", "studnt: lenet", 16, "attacks.dfme: unknown field 'studnt'; did you mean 'student'?"),
    ("student: lenet", "seed: 4", 16, "attacks.dfme.seed: the study's seeds are given to every step; leave it out"),
    ("student: lenet", "name: maze", 16, "attacks.dfme.name: the attack's key is its name; leave it out"),
    ("student: lenet", "latent: 0", 16, "attacks.dfme.latent is 0; it must be greater than 0"),
    ("student: lenet", "loss: l3", 16, "attacks.dfme.loss is 'l3'; it must be "),
    ("student: lenet", "clone: {optimizer: sdg}", 16, "attacks.dfme.clone.optimizer is 'sdg'; it must be 'sgd'"),
    ("epsilon: 0.1", "epsilon: 0", 17, "attacks.dfme.differences.epsilon is 0; it must be greater than 0"),
    ("epsilon: 0.1", "epsilon: -1", 17, "attacks.dfme.differences.epsilon is -1; it must be greater than 0"),
    ("epsilon: 0.1", "epsilno: 1", 17, "attacks.dfme.differences: unknown field 'epsilno'; did you mean 'epsilon'?"),
    ("epsilon: 0.1", "scheme: backward", 17, "differences.scheme is 'backward'; it must be 'forward' or 'central'"),
    ("split: on", "antithetic: on", 17, "antithetic directions come in pairs; directions is 1, give an even one"),
    ("{epsilon: 0.1, split: on}", "null", 15, "a generator needs a gradient: give differences, or two or more clones"),
    ("{batch_size: 8}", "{batch_size: many}", 18, "attacks.disguide.batch_size is 'many'; it must be a valid integer"),
    ("{batch_size: 8}", "3", 18, "theft.data_free.attacks.disguide is 3; it must be a mapping"),
    ("{batch_size: 8}", "{clones: 1}", 18, "a generator needs a gradient"),
    ("[divqat, large, qat]", "[divqat, lrage]", 19, "data_free.rows[1] is 'lrage'; it must be "),
    ("[divqat, large, qat]", "[qat, qat]", 19, "qat is listed twice; give each once"),
    ("[divqat, large, qat]", "[]", 19, "data_free.rows is []; it must have at least 1 item"),
    ("[5, 0.01]", "[5, 0]", 20, "theft.data_free.epsilons[1] is 0; it must be greater than 0"),
    ("[5, 0.01]", "[5, 5]", 20, "5.0 is listed twice"),
    ("[5, 0.01]", "[]", 20, None),
    ("controls: off", "controls: perhaps", 21, "data_free.controls is 'perhaps'; it must be true or false"),
    ("controls: off", "contrls: off", 21, "theft.data_free: unknown field 'contrls'; did you mean 'controls'?"),
    ("budget: 4096", "budget: 50", 22, "data_free.budget is 50; one iteration of dfme takes 1792 queries"),
    ("budget: 4096", "budget: 0", 22, "data_free.budget is 0; it must be greater than 0"),
    ("disguide: 512", "dfme: 50", 26, "data_free.budgets.dfme is 50; one iteration of dfme takes 1792 queries"),
    ("disguide: 512", "maze: 512", 26, "budgets.maze is about an attack that is not there; attacks has dfme, disguide"),
    ("disguide: 512", "disgide: 512", 26, "data_free.budgets.disgide is 'disgide'; it must be "),
    ("disguide: 512", "disguide: 0", 26, "data_free.budgets.disguide is 0; it must be greater than 0"),
    ("points: 3", "points: 0", 23, "data_free.points is 0; it must be greater than 0"),
    (
        "data: [digits]",
        "data: [dgits]",
        24,
        "theft.data_free.data has 'dgits'; it must be of the study's: digits, other",
    ),
    ("data: [digits]", "data: [digits, digits]", 24, "digits is listed twice"),
    ("seeds: [5]", "seeds: [4]", 25, "theft.data_free.seeds has 4; it must be of the study's: 3, 5"),
    ("seeds: [5]", "seeds: [-5]", 25, "data_free.seeds[0] is -5; it must be greater than or equal to 0"),
]


@pytest.fixture
def read(tmp_path):
    def reading(text: str = TEXT) -> Study:
        return read_text(tmp_path, text)

    return reading


# The file


@pytest.mark.parametrize(("old", "new", "line", "told"), CHANGES)
def test_each_wrong_value_is_told_with_its_line(tmp_path, old, new, line, told):
    require_told(tmp_path, TEXT, (old, new), line, told)


def test_every_wrong_attack_is_told_at_once(read):
    wrong = TEXT.replace("student: lenet", "student: lent").replace("{batch_size: 8}", "{seed: 1}")
    with pytest.raises(RecipeError) as caught:
        read(wrong)
    assert "yaml:16: theft.data_free.attacks.dfme.student" in str(caught.value)
    assert "yaml:18: theft.data_free.attacks.disguide.seed" in str(caught.value)


def test_something_has_to_attack(read):
    attacks = TEXT[TEXT.index("    attacks:") : TEXT.index("    rows: [divqat")]
    with pytest.raises(RecipeError, match=r"yaml:14: theft\.data_free\.attacks is \{\}; it must have at least 1 item"):
        read(TEXT.replace(attacks, "    attacks: {}\n"))


def test_a_plan_comes_back_from_json_as_it_was(read):
    study = read()
    assert Study.model_validate_json(study.model_dump_json()) == study
    assert Study.model_validate(json.loads(study.model_dump_json())).model_dump_json() == study.model_dump_json()


def test_an_attack_is_the_published_one_with_changes(read):
    dfme, disguide = read().theft.data_free.thieves(5)
    changed = {"student": "lenet", "differences": Differences(epsilon=0.1, split=True), "seed": 6}
    assert dfme == DataFree(name="dfme").replace(**changed)
    assert disguide == DataFree(name="disguide", batch_size=8, seed=6)


# The cells


def only(cells: tuple[Cell, ...], **place) -> Cell:
    (found,) = (cell for cell in cells if all(getattr(cell, name) == value for name, value in place.items()))
    return found


def test_cells_stand_after_the_first_targets_for_the_sets_and_seeds_named(read):
    names = [cell.name for cell in make_cells(read())]
    assert names == [
        "digits, LeNet, server, seed 3",
        "digits, LeNet, mobile, seed 3",
        "other, LeNet, server, seed 3",
        "other, LeNet, mobile, seed 3",
        "digits, LeNet, server, seed 5",
        "digits, LeNet, data-free dfme, seed 5",
        "digits, LeNet, data-free disguide, seed 5",
        "digits, LeNet, mobile, seed 5",
        "other, LeNet, server, seed 5",
        "other, LeNet, mobile, seed 5",
    ]


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        (("data: [digits]", "data: []"), [("digits", 5), ("other", 5)]),
        (("seeds: [5]", "seeds: []"), [("digits", 3), ("digits", 5)]),
        (("data: [digits]", "data: [other, digits]"), [("digits", 5), ("other", 5)]),
        (("seeds: [5]", "seeds: [5, 3]"), [("digits", 3), ("digits", 5)]),
    ],
)
def test_all_sets_and_seeds_are_meant_where_none_is_named(read, changes, places):
    found = [cell for cell in make_cells(read(TEXT.replace(*changes))) if cell.kind == "data-free dfme"]
    assert [(cell.data, cell.seed) for cell in found] == places


def test_without_a_plan_there_are_no_such_cells_and_the_others_are_the_same(read):
    plain = TEXT[: TEXT.index("  data_free:")] + TEXT[TEXT.index("profiles:") :]
    with_plan = [cell for cell in make_cells(read()) if not cell.kind.startswith("data-free")]
    assert [cell.recipe.digest() for cell in make_cells(read(plain))] == [cell.recipe.digest() for cell in with_plan]


def test_a_cell_steals_the_victims_of_its_comparison(read):
    study = read()
    cells = make_cells(study)
    cell = only(cells, kind="data-free dfme")
    comparison = only(cells, data="digits", kind="server", seed=5).recipe
    assert isinstance(cell.recipe, DataFreeHardenRecipe)
    assert isinstance(comparison, HardenRecipe)
    assert cell.recipe.victims == comparison.victims
    assert cell.images == comparison.images
    # In a table's order and in rising order: the same comparison is made once.
    assert (cell.recipe.rows, cell.recipe.epsilons) == (("large", "qat", "divqat"), (0.01, 5.0))
    assert (cell.recipe.controls, cell.recipe.budget, cell.recipe.points) == (False, 4096, 3)
    # One attack a cell, so that one that fails takes no other with it, and each with a budget of its own.
    other = only(cells, kind="data-free disguide")
    assert other.recipe == cell.recipe.replace(attacks=other.recipe.attacks, budget=512)
    assert (*cell.recipe.attacks, *other.recipe.attacks) == study.theft.data_free.thieves(5)
    # A thief must not draw what the victim drew.
    assert {attack.seed for one in (cell, other) for attack in one.recipe.attacks} == {6}
    moved = TEXT.replace("[divqat, large, qat]", "[qat, divqat, large]").replace("[5, 0.01]", "[0.01, 5]")
    assert only(make_cells(read(moved)), kind="data-free dfme").recipe.digest() == cell.recipe.digest()


# The result


@pytest.fixture
def store(tmp_path, monkeypatch):
    def steal(recipe, folder, *_):
        write_whole(folder / "data-free.json", made_thefts(int(recipe.digest(), 16) % 5).model_dump_json())

    monkeypatch.setattr(DataFreeHardenRecipe, "produce", steal)
    return Store(tmp_path / "store")


def test_thefts_are_collected_with_their_places(read, store):
    study = read(TEXT.replace("data: [digits]", "data: []").replace("seeds: [5]", "seeds: []"))
    cells = make_cells(study)
    stolen = [cell for cell in cells if cell.kind.startswith("data-free")]
    for cell in stolen[1:]:
        store.get(cell.recipe)
    found = collect(study, "small", cells, store)
    places = [(data, "LeNet", seed) for seed in (3, 5) for data in ("digits", "other")]
    places = [(*place, attack) for place in places for attack in ("dfme", "disguide")]
    assert [(cell.data, cell.original, cell.seed, cell.attack) for cell in found.data_free] == places[1:]
    for cell, own in zip(found.data_free, stolen[1:], strict=True):
        assert cell.comparison == own.recipe.open(store, lambda *_: None)
    assert "digits, LeNet, data-free dfme, seed 3" in [cell.name for cell in found.missing]
    assert len(found.data_free) + len(found.missing) == len(cells)
    assert StudyResult.model_validate_json(found.model_dump_json()) == found


def test_a_result_of_before_there_were_such_thefts_is_read(read, store):
    study = read()
    content = collect(study, "small", make_cells(study), store).model_dump(mode="json")
    del content["data_free"]
    del content["study"]["theft"]["data_free"]
    old = StudyResult.model_validate(content)
    assert old.data_free == ()
    assert old.study.theft.data_free is None


def test_every_line_number_of_this_text_is_right():
    for number, line in enumerate(TEXT.splitlines(), 1):
        assert line.endswith(f"# {number}")
