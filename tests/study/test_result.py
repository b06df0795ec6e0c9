"""What a study found, read back from the store."""

from importlib.metadata import version

import pytest
from made_hardening import made_hardening
from made_study import made_pair
from recorded_work import record

from edgerift.harden import HardenRecipe
from edgerift.run import Records, key_of
from edgerift.steps import Store, write_whole
from edgerift.study import PairRecipe, Study, StudyResult, collect, make_cells

STUDY = Study.model_validate(
    {
        "study": "tiny",
        "title": "Tiny",
        "seeds": [4, 1],
        "size": 12,
        "data": {"zeta": {"source": "digits"}, "digits": {}},
        "originals": {"Net": {"model": "lenet"}, "Big": {"model": "resnet8"}},
        # The two names of one source are two cells of one recipe.
        "evasion": {"attacks": {"pgd": {"preset": "pgd"}}, "shown": "pgd", "adaptations": ["qat", "ptq"]},
        "theft": {"rows": ["qat"], "targets": ["server", "mobile"]},
    }
)


@pytest.fixture(scope="module")
def cells():
    return make_cells(STUDY)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store whose steps write made reports, each its own."""

    def made(recipe, kind):
        number = int(recipe.digest(), 16) % 50
        return made_pair(number, 0, 0) if kind == "pair" else made_hardening(data=f"set {number}")

    monkeypatch.setattr(
        PairRecipe, "produce", lambda recipe, folder, *_: _write(folder / "pair.json", made(recipe, "pair"))
    )
    monkeypatch.setattr(
        HardenRecipe, "produce", lambda recipe, folder, *_: _write(folder / "hardening.json", made(recipe, "harden"))
    )
    return Store(tmp_path / "store")


def _write(path, document):
    write_whole(path, document.model_dump_json(indent=2) + "\n")


def test_every_cell_stands_in_its_place(store, cells):
    for cell in cells:
        store.get(cell.recipe)
    found = collect(STUDY, "small", cells, store)
    assert found.missing == ()
    assert (found.profile, found.study, found.edgerift) == ("small", STUDY, version("edgerift"))
    places = [(seed, data, name) for seed in (4, 1) for data in ("zeta", "digits") for name in ("Net", "Big")]
    pairs = [(cell.seed, cell.data, cell.original, cell.adaptation) for cell in found.pairs]
    assert pairs == [(*place, kind) for place in places for kind in ("qat", "ptq")]
    thefts = [(cell.seed, cell.data, cell.original, cell.target) for cell in found.thefts]
    assert thefts == [(*place, kind) for place in places for kind in ("server", "mobile")]
    by_place = {(cell.data, cell.original, cell.seed, cell.kind): cell.recipe for cell in cells}
    for cell in found.pairs:
        recipe = by_place[cell.data, cell.original, cell.seed, cell.adaptation]
        assert cell.report == recipe.open(store, lambda *_: None)


def test_the_same_store_gives_the_same_bytes(store, cells):
    for cell in cells[::2]:
        store.get(cell.recipe)
    first = collect(STUDY, "small", cells, store).model_dump_json()
    assert collect(STUDY, "small", make_cells(STUDY), Store(store.root)).model_dump_json() == first
    assert StudyResult.model_validate_json(first).model_dump_json() == first


def test_what_is_missing_is_named_with_its_own_failure(store, cells):
    records = Records(store)
    first, second = cells[0], cells[1]
    for cell in cells:
        if cell.recipe not in (first.recipe, second.recipe):
            store.get(cell.recipe)
    records.write(record(key=key_of(first.recipe), state="failed", error="it broke"))
    found = collect(STUDY, "small", cells, store)
    lost = [(cell.name, cell.error) for cell in found.missing]
    # The other name of that source is without a result as well.
    twins = [cell.name for cell in cells if cell.recipe in (first.recipe, second.recipe)]
    assert [name for name, _ in lost] == twins
    assert dict(lost)[first.name] == "it broke"
    assert dict(lost)[second.name] is None
    assert len(found.pairs) + len(found.thefts) + len(found.missing) == len(cells)
    # What failed once and was finished since is not missing, whatever is remembered.
    store.get(first.recipe)
    assert first.name not in {cell.name for cell in collect(STUDY, "small", cells, store).missing}


def test_nothing_is_built_to_collect(store, cells):
    found = collect(STUDY, "small", cells, store)
    assert (found.pairs, found.thefts) == ((), ())
    assert [cell.name for cell in found.missing] == [cell.name for cell in cells]
    assert not store.root.exists()


@pytest.mark.parametrize("file", ["pair.json", "recipe.json"])
def test_a_damaged_cell_is_missing_with_what_is_wrong_and_takes_no_other_with_it(store, cells, file):
    for cell in cells:
        store.get(cell.recipe)
    whole = collect(STUDY, "small", cells, store)
    damaged = cells[0]
    path = store.get(damaged.recipe) / file
    path.unlink() if file == "recipe.json" else path.write_text("{")
    found = collect(STUDY, "small", cells, store)
    twins = [cell for cell in cells if cell.recipe == damaged.recipe]
    assert [one.name for one in found.missing] == [cell.name for cell in twins]
    assert all(str(path.parent) in one.error and "delete" in one.error for one in found.missing)
    assert len(found.pairs) == len(whole.pairs) - len(twins)
    # A result of elsewhere has it whole.
    assert collect(STUDY, "small", cells, store, known=[whole]) == whole


def test_what_the_store_lacks_is_taken_from_results_of_elsewhere(store, cells, tmp_path):
    for cell in cells:
        store.get(cell.recipe)
    whole = collect(STUDY, "small", cells, store)
    empty = Store(tmp_path / "empty")
    assert collect(STUDY, "small", cells, empty, known=[whole]) == whole
    # Names are of the study that asks, and the other one's may be of another study.
    renamed = whole.replace(
        pairs=tuple(cell.replace(data="other", original="other") for cell in whole.pairs), thefts=()
    )
    found = collect(STUDY, "small", cells, empty, known=[renamed])
    assert (found.pairs, found.thefts) == (whole.pairs, ())
    assert len(found.missing) == len(whole.thefts)


def test_the_store_goes_before_results_of_elsewhere_and_an_unlike_recipe_is_not_taken(store, cells):
    first = cells[0]
    store.get(first.recipe)
    own = collect(STUDY, "small", cells, store).pairs[0]
    other = own.replace(report=made_pair(60, 0, 0))
    result = collect(STUDY, "small", (first,), store)
    assert collect(STUDY, "small", (first,), store, known=[result.replace(pairs=(other,))]).pairs == (own,)
    unlike = own.replace(key=own.key + "0")
    lost = collect(STUDY, "small", (first,), Store(store.root / "none"), known=[result.replace(pairs=(unlike,))])
    assert (lost.pairs, [cell.name for cell in lost.missing]) == ((), [first.name])
