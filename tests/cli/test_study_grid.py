"""From a study to recipes: the same ones as the command line's verbs make, all seeds in their places."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from edgerift import images
from edgerift.adapt import FinetuneRecipe
from edgerift.cli._audit import AttackOptions, AuditCommand
from edgerift.cli._harden import HardenCommand, HardenOptions
from edgerift.cli._options import DataOptions
from edgerift.cli._pipeline import AdaptOptions, adapt_recipe
from edgerift.cli._theft import TheftOptions
from edgerift.cli._train import OriginalOptions, train_recipe
from edgerift.errors import DataError, InputError, RecipeError
from edgerift.evade import SelectRecipe
from edgerift.harden import HardenRecipe
from edgerift.study import Cell, PairRecipe, Study, make_cells

SEED = 3
CONTENT = {
    "study": "tiny",
    "title": "A tiny study",
    "seeds": [SEED, 5],
    "size": 12,
    "data": {"digits": {}},
    "originals": {"LeNet": {"model": "lenet"}, "ResNet": {"model": "resnet8"}},
    "train": {"epochs": 2, "batch_size": 64, "precision": "auto"},
    "adapt": {"epochs": 1, "batch_size": 64},
    "calibration_images": 99,
}
EVASION = {
    "attacks": {
        "pgd": {"preset": "pgd", "change": {"stop": "never"}},
        "diva": {"preset": "diva-2022", "epsilon": 4, "steps": 7, "change": {"stop": "never"}},
    },
    "shown": "diva",
    "count": 5,
    "classes": [1, 2],
    "pictured": ["qat"],
}
THEFT = {
    "rows": ["divqat", "qat", "rs"],
    "targets": ["server", "mobile"],
    "allowance": {"steps": 1, "high": 3.0, "l1": 0.5, "accuracy_drop": 0.1},
    "attack": {"student": "lenet"},
    "thief": {"epochs": 4, "learning_rate": 0.5, "precision": "auto"},
    "budget": 33,
    "students": ["resnet8"],
    "alphas": [1.0, 0.5],
}
DATA = DataOptions(size=12)
ORIGINAL = OriginalOptions(model="lenet", epochs=2, learning_rate=0.1, batch_size=64, seed=SEED)


def study(**fields) -> Study:
    return Study.model_validate({**CONTENT, **fields})


def only(cells: tuple[Cell, ...], **place) -> Cell:
    (found,) = (cell for cell in cells if all(getattr(cell, name) == value for name, value in place.items()))
    return found


@pytest.fixture(scope="module")
def pairs() -> tuple[Cell, ...]:
    return make_cells(study(evasion=EVASION))


@pytest.fixture(scope="module")
def thefts() -> tuple[Cell, ...]:
    return make_cells(study(theft=THEFT))


def test_the_cells_of_both_threats_in_their_order():
    found = [cell.name for cell in make_cells(study(evasion=EVASION, theft=THEFT, seeds=[1]))]
    kinds = ("ptq", "qat", "finetune", "server", "mobile")
    assert found == [f"digits, {name}, {kind}, seed 1" for name in ("LeNet", "ResNet") for kind in kinds]
    seeds = [cell.seed for cell in make_cells(study(theft=THEFT))]
    assert seeds == [SEED] * 4 + [5] * 4


def test_an_original_is_the_one_that_train_makes(pairs):
    recipe = only(pairs, original="LeNet", kind="ptq", seed=SEED).recipe
    assert recipe.pair.original.digest() == train_recipe(DATA.images(ORIGINAL.seed), ORIGINAL).digest()


@pytest.mark.parametrize("method", ["ptq", "qat"])
def test_a_program_is_the_one_that_adapt_makes(pairs, method):
    adapting = AdaptOptions(method=method, adapt_epochs=1, calibration_images=99)
    made = adapt_recipe(DATA.images(ORIGINAL.seed), ORIGINAL, adapting, None, False)
    recipe = only(pairs, original="LeNet", kind=method, seed=SEED).recipe
    assert recipe.pair.program.digest() == made.digest()


@pytest.mark.parametrize("name", ["pgd", "diva"])
def test_a_search_is_the_one_that_audit_makes(pairs, name):
    attacking = AttackOptions(
        attack=({"pgd": "pgd", "diva": "diva-2022"}[name],),
        images=5,
        **({"epsilon": 4, "steps": 7} if name == "diva" else {}),
    )
    command = AuditCommand(
        out=Path("x"),
        data=DATA,
        training=ORIGINAL,
        adapting=AdaptOptions(adapt_epochs=1, calibration_images=99),
        attacking=attacking,
        threats=("evasion",),
    )
    audit = command._recipe()
    made = audit.searching(audit.main)
    recipe = only(pairs, original="LeNet", kind="qat", seed=SEED).recipe
    # An audit's attacks have the seed 0; here each seed draws its own starts.
    assert recipe.searching(name).digest() == made.replace(attack=made.attack.replace(seed=SEED)).digest()
    control = only(pairs, original="LeNet", kind="finetune", seed=SEED).recipe
    assert control.pair == audit.pair.replace(control=audit.control)
    assert SelectRecipe(pair=recipe.pair, images=recipe.images).digest() == made.selecting.digest()


@pytest.mark.parametrize("target", ["server", "mobile"])
def test_a_comparison_is_the_one_that_harden_makes(thefts, target):
    first = target == "server"
    command = HardenCommand(
        out=Path("x"),
        variants=((("qat,rs,divqat" if first else "qat,divqat"),),),
        data=DATA,
        training=ORIGINAL,
        hardening=HardenOptions(
            target=target,
            adapt_epochs=1,
            calibration_images=99,
            l1_budget=0.5,
            accuracy_drop=0.1,
            highest_alpha=3.0,
            search_steps=1,
            alphas=(("0.5,1.0",),) if first else (),
        ),
        stealing=TheftOptions(budget=33, student="lenet", clone_epochs=4, clone_learning_rate=0.5, clone_batch_size=64),
    )
    made = command._recipe()
    found = only(thefts, original="LeNet", kind=target, seed=SEED).recipe
    assert isinstance(found, HardenRecipe)
    assert found.students == (("resnet8",) if first else ())
    same = found.replace(students=())
    assert json.loads(same.canonical_json()) == json.loads(made.canonical_json())


def test_every_seed_stands_where_it_draws(pairs, thefts):
    for recipe in (only(pairs, original="LeNet", kind="finetune", seed=SEED).recipe,):
        assert isinstance(recipe, PairRecipe)
        original, program, control = recipe.pair.original, recipe.pair.program, recipe.pair.control
        assert isinstance(control, FinetuneRecipe)
        assert {
            recipe.draw,
            recipe.images.seed,
            original.images.seed,
            original.init_seed,
            original.settings.seed,
            program.settings.train.seed,
            program.settings.calibration.seed,
            control.settings.seed,
            *(attack.seed for attack in recipe.attacks.values()),
        } == {SEED}
    theft = only(thefts, original="LeNet", kind="mobile", seed=SEED).recipe
    assert {theft.queries.seed, theft.queries.images.seed, theft.settings.train.seed, theft.images.seed} == {SEED}
    # A clone of the victim's network must not start from the victim's first weights.
    assert {theft.attack.seed, theft.attack.training.seed} == {SEED + 1}


def test_seeds_share_nothing_and_rows_of_the_grid_share_what_they_can(pairs):
    recipes = {(cell.original, cell.kind, cell.seed): cell.recipe for cell in pairs}
    assert len({recipe.digest() for recipe in recipes.values()}) == len(pairs) == 12
    originals = {(name, seed): recipe.pair.original.digest() for (name, _, seed), recipe in recipes.items()}
    assert len(set(originals.values())) == 4
    for name in ("LeNet", "ResNet"):
        programs = {kind: recipes[name, kind, SEED].pair.program.digest() for kind in ("ptq", "qat", "finetune")}
        assert programs["qat"] == programs["finetune"] != programs["ptq"]


def test_pictures_are_of_the_first_seed_and_of_what_is_named(pairs):
    for cell in pairs:
        shown = cell.kind == "qat" and cell.seed == SEED
        assert cell.recipe.pictured == ("diva" if shown else None)
        assert cell.recipe.classes == ((1, 2) if shown else ())


def test_a_data_set_has_its_own_wishes():
    wishes = {
        "source": "digits",
        "size": 16,
        "rows": ["qat"],
        "students": [],
        "alphas": [],
        "budget": 7,
        "train": {"epochs": 9},
        "thief": {"epochs": 8},
    }
    cells = make_cells(study(data={"digits": {}, "small": wishes}, theft=THEFT, seeds=[0]))
    plain, own = (only(cells, data=name, original="LeNet", kind="server").recipe for name in ("digits", "small"))
    assert (own.images.size, own.queries.images.size, own.original.architecture.size) == (16, 16, 16)
    assert own.images.fingerprint == plain.images.fingerprint
    assert (own.rows, own.students, own.alphas) == (("qat",), (), ())
    assert (own.budget, own.queries.collages, plain.budget, plain.queries.collages) == (7, 7, 33, 33)
    assert (own.original.settings.epochs, own.attack.training.epochs) == (9, 8)
    other = only(cells, data="small", original="LeNet", kind="mobile").recipe
    assert other.rows == ("qat", "divqat")
    assert other.budget == 7


def test_two_names_of_one_source_make_the_same_steps():
    cells = make_cells(study(data={"digits": {}, "again": {"source": "digits"}}, theft=THEFT, seeds=[0]))
    first, second = (only(cells, data=name, original="LeNet", kind="server") for name in ("digits", "again"))
    assert first.recipe == second.recipe
    assert first.name != second.name


def test_each_source_is_read_once(monkeypatch):
    read = []
    for name in ("resolve", "class_names"):
        true = getattr(images, name)
        monkeypatch.setattr(images, name, lambda settings, true=true, name=name: read.append(name) or true(settings))
    make_cells(study(data={"digits": {}, "again": {"source": "digits", "size": 16}}, theft=THEFT, evasion=EVASION))
    assert sorted(read) == ["class_names", "resolve"]


@pytest.fixture
def own_set(tmp_path, monkeypatch):
    monkeypatch.delenv("EDGERIFT_DATA", raising=False)
    root = tmp_path / "root"
    root.mkdir()
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 256, (40, 12, 12, 3)).astype(np.uint8)
    np.savez(root / "own.npz", images=pixels, labels=np.arange(40) % 4)
    yield root
    os.environ.pop("EDGERIFT_DATA", None)


def test_images_come_from_the_root_that_is_named(own_set):
    wanted = study(data={"own": {"source": "own.npz"}}, theft=THEFT, seeds=[0])
    with pytest.raises(DataError, match=r"^data\.own\.source: there is no image folder or \.npz file 'own\.npz'"):
        make_cells(wanted)
    cells = make_cells(wanted, own_set)
    assert cells[0].recipe.original.architecture.classes == 4
    assert cells[0].recipe.images.fingerprint
    assert str(own_set) not in cells[0].recipe.canonical_json()
    with pytest.raises(InputError, match=r"the data root .*nowhere is not a folder"):
        make_cells(wanted, own_set / "nowhere")


def test_what_is_missing_is_told_with_the_data_set(own_set):
    asked = study(data={"own": {"source": "own.npz", "queries": "nothing.npz"}}, theft=THEFT)
    with pytest.raises(DataError, match=r"^data\.own\.queries: there is no image folder or \.npz file 'nothing\.npz'"):
        make_cells(asked, own_set)
    with pytest.raises(DataError, match=r"^data\.diggits: unknown image set 'diggits'; did you mean 'digits'\?"):
        make_cells(study(data={"digits": {}, "diggits": {}}, theft=THEFT))


def test_a_class_that_is_not_there_cannot_be_shown():
    wanted = study(evasion={**EVASION, "classes": [1, 10]})
    with pytest.raises(
        InputError, match=r"^evasion\.classes\[1\]: there is no class 10; data set 'digits' has 0 to 9$"
    ):
        make_cells(wanted)


def test_questions_of_another_set_hold_hardly_anything_back(own_set):
    wanted = study(data={"digits": {"queries": "own.npz"}}, theft=THEFT, seeds=[4])
    recipe = make_cells(wanted, own_set)[0].recipe
    assert recipe.queries.collages is None
    described = recipe.queries.images
    assert (described.source, described.size, described.seed, described.validation_fraction) == ("own.npz", 12, 4, 0.01)


def test_where_things_run_is_no_part_of_what_they_are():
    plain = make_cells(study(theft=THEFT, evasion=EVASION, seeds=[0]))
    moved = make_cells(
        study(
            theft={**THEFT, "thief": {**THEFT["thief"], "device": "cpu"}},
            evasion={**EVASION, "shard": 2},
            seeds=[0],
            train={**CONTENT["train"], "device": "cpu"},
        )
    )
    assert [cell.recipe.digest() for cell in plain] == [cell.recipe.digest() for cell in moved]
    assert moved[3].recipe.attack.training.device == "cpu"
    assert moved[0].recipe.searching("pgd").shard == 2


def test_an_allowance_that_leaves_a_row_nothing_to_search_in_is_told_at_once():
    wanted = study(theft={**THEFT, "rows": ["qat", "smoothing"], "allowance": {"low": 0.95}})
    told = r"^theft\.allowance: variant 'smoothing' cannot be searched for: low is 0\.95 and high 0\.9; low"
    with pytest.raises(RecipeError, match=told):
        make_cells(wanted)


def test_errors_begin_with_where_their_value_stands(own_set):
    def where(place):
        return f"file:{'/'.join(map(str, place))}: "

    wanted = study(data={"own": {"source": "nothing.npz"}}, theft=THEFT)
    with pytest.raises(DataError, match=r"^file:data/own/source: data\.own\.source: there is no image"):
        make_cells(wanted, own_set, where)
    with pytest.raises(DataError, match=r"^file:data/diggits: data\.diggits: unknown image set"):
        make_cells(study(data={"diggits": {}}, theft=THEFT), own_set, where)
    with pytest.raises(InputError, match=r"^file:evasion/classes/0: evasion\.classes\[0\]: there is no class 10"):
        make_cells(study(evasion={**EVASION, "classes": [10]}), own_set, where)
