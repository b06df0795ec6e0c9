"""Which thefts without images a comparison is made of, what it waits for, and what is read off its entries."""

import pytest
from made_datafree import made_entry, made_thefts
from made_hardening import made_search, share

from edgerift import zoo
from edgerift.adapt import Allowance, Search, TunedRecipe
from edgerift.defend import Deception, ReverseSigmoid
from edgerift.deploy import BuildRecipe
from edgerift.extract import DataFree, DataFreeRecipe, Differences
from edgerift.harden import (
    DataFreeComparison,
    DataFreeEntry,
    DataFreeHardenRecipe,
    HardenRecipe,
    MadeVariant,
    TunedAnswersRecipe,
    best_epsilon,
    paper_clone_error,
    published_epsilon,
)
from edgerift.images import ImagesSettings
from edgerift.run import key_of
from edgerift.steps import Recipe, Store, silent, write_whole
from edgerift.train import TrainRecipe, TrainSettings

IMAGES = ImagesSettings(size=12)
ORIGINAL = TrainRecipe(
    images=IMAGES,
    architecture=zoo.Architecture(name="lenet", classes=10, size=12),
    settings=TrainSettings(epochs=1),
)
SMALL = {"student": "lenet", "batch_size": 8}
DFME = DataFree(name="dfme", **SMALL)
DISGUIDE = DataFree(name="disguide", **SMALL)
LABELS = DataFree(name="disguide-hard", **SMALL)


def victims(alpha: float | None = None):
    return HardenRecipe.model_validate(
        {
            "original": ORIGINAL,
            "images": IMAGES,
            "queries": {"images": IMAGES, "collages": 32},
            "alpha": alpha,
            "allowance": Allowance(steps=0),
        }
    ).victims


def comparing(**fields: object) -> DataFreeHardenRecipe:
    given = {"victims": victims(), "attacks": (DFME, DISGUIDE), "epsilons": (5.0, 0.1), "budget": 4096, "points": 3}
    return DataFreeHardenRecipe.model_validate({**given, **fields})


def row(name: str, recipe: DataFreeHardenRecipe, **fields: object) -> MadeVariant:
    return MadeVariant.model_validate({"name": name, "title": name, "victim": recipe.victims.victim(name), **fields})


def told(recipe: DataFreeHardenRecipe, row: MadeVariant) -> list[tuple[object, ...]]:
    """Write each theft as attack, epsilon, pixels, simulated and the control that it is."""
    return [
        (
            theft.attack.name,
            None if theft.attack.differences is None else theft.attack.differences.epsilon,
            theft.pixels,
            theft.simulated,
            control,
        )
        for control, theft in recipe.thefts(row)
    ]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


def keep(store: Store, recipe: Recipe) -> None:
    """Put an empty result of a step into the store."""
    folder = store.root / key_of(recipe)
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(recipe.canonical_json() + "\n")


# What is stolen


def test_a_build_is_stolen_at_every_epsilon_and_without_rounding() -> None:
    recipe = comparing()
    assert told(recipe, row("qat", recipe)) == [
        ("dfme", 1e-3, "whole", False, None),
        ("dfme", 0.1, "whole", False, None),
        ("dfme", 5.0, "whole", False, None),
        ("dfme", 1e-3, "float", True, "simulated"),
        ("disguide", None, "whole", False, None),
    ]


def test_a_float_victim_is_stolen_as_published_and_through_whole_pixels() -> None:
    recipe = comparing()
    assert told(recipe, row("large", recipe)) == [
        ("dfme", 1e-3, "float", False, None),
        ("dfme", 1e-3, "whole", False, "whole pixels"),
        ("disguide", None, "float", False, None),
    ]


@pytest.mark.parametrize("name", ["large", "qat", "divqat"])
def test_without_controls_there_are_the_attacks_alone(name: str) -> None:
    recipe = comparing(controls=False)
    thefts = list(recipe.thefts(row(name, recipe)))
    assert all(control is None and not theft.simulated for control, theft in thefts)
    assert len(thefts) == (2 if name == "large" else 4)


def test_an_epsilon_of_the_attacks_own_is_tried_once_and_first() -> None:
    own = DFME.replace(differences=Differences(epsilon=0.1, directions=3, split=True))
    recipe = comparing(attacks=(own,), epsilons=(5.0, 0.1, 1e-3), controls=False)
    thefts = [theft for _, theft in recipe.thefts(row("qat", recipe))]
    assert [theft.attack.differences.epsilon for theft in thefts] == [0.1, 1e-3, 5.0]
    # Nothing but the epsilon changes.
    assert {theft.attack.replace(differences=own.differences) for theft in thefts} == {own}
    assert {theft.attack.differences.replace(epsilon=0.1) for theft in thefts} == {own.differences}


def test_a_theft_is_of_the_rows_victim_with_the_comparisons_budget() -> None:
    recipe = comparing()
    defended = row("rs", recipe, defences=(ReverseSigmoid(beta=0.1),))
    for _, theft in recipe.thefts(defended):
        assert (theft.victim, theft.images) == (recipe.victims.victim("qat"), IMAGES)
        assert (theft.budget, theft.points) == (4096, 3)
        assert theft.defences == (ReverseSigmoid(beta=0.1),)


@pytest.mark.parametrize("keeps", [True, False])
def test_a_thief_of_labels_sees_only_what_changes_labels(keeps: bool) -> None:
    recipe = comparing(attacks=(LABELS, DISGUIDE), controls=True)
    defence = ReverseSigmoid(beta=0.1) if keeps else Deception(beta=0.9)
    plain, defended = row("qat", recipe), row("rs", recipe, defences=(defence,), keeps_labels=keeps)
    for (_, own), (_, other) in zip(recipe.thefts(defended), recipe.thefts(plain), strict=True):
        sees_labels = own.attack.name == "disguide-hard"
        assert own.defences == (() if sees_labels and keeps else (defence,))
        # What cannot be seen is the same step, and stolen once.
        assert (own.digest() == other.digest()) is (sees_labels and keeps)


# What is needed


def needs(recipe: DataFreeHardenRecipe, store: Store) -> list[Recipe]:
    return list(recipe.needs(store))


def thefts_in(steps: list[Recipe]) -> list[DataFreeRecipe]:
    return [step for step in steps if isinstance(step, DataFreeRecipe)]


def test_rows_without_a_search_are_stolen_at_once(store: Store) -> None:
    recipe = comparing(rows=("qat", "large"))
    found = needs(recipe, store)
    expected = [theft for name in ("large", "qat") for _, theft in recipe.thefts(row(name, recipe))]
    assert [step.digest() for step in thefts_in(found)] == [theft.digest() for theft in expected]
    assert found[0] == ORIGINAL
    assert recipe.victims.victim("qat") in found
    assert not store.root.exists()


def test_a_row_is_stolen_once_its_search_is_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = comparing(rows=("qat", "divqat"))
    (search,) = recipe.victims.choosing("divqat")
    before = needs(recipe, store)
    assert search in before
    assert {theft.victim for theft in thefts_in(before)} == {recipe.victims.victim("qat")}
    monkeypatch.setattr(TunedRecipe, "search", lambda *_: made_search())
    keep(store, search)
    after = needs(recipe, store)
    assert {theft.victim.digest() for theft in thefts_in(after)} == {
        recipe.victims.victim(name).digest() for name in ("qat", "divqat")
    }
    assert len(thefts_in(after)) == 2 * len(thefts_in(before))


def test_a_joint_row_waits_for_both_of_its_searches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = comparing(rows=("divqat+rs",))
    training, answers = recipe.victims.choosing("divqat+rs")
    monkeypatch.setattr(TunedRecipe, "search", lambda *_: made_search())
    found = made_answers(ReverseSigmoid(beta=0.25))
    monkeypatch.setattr(TunedAnswersRecipe, "open", lambda *_: found)
    for step in (training, answers):
        assert {training, answers} <= set(needs(recipe, store))
        assert thefts_in(needs(recipe, store)) == []
        keep(store, step)
    assert {theft.defences for theft in thefts_in(needs(recipe, store))} == {(ReverseSigmoid(beta=0.25),)}


def made_answers(defence):
    class Found:
        defences = (defence,)
        keeps_labels = True

    return Found()


def test_an_alpha_that_is_given_needs_no_search(store: Store) -> None:
    recipe = comparing(rows=("divqat",), victims=victims(0.5))
    (victim,) = {theft.victim for theft in thefts_in(needs(recipe, store))}
    assert isinstance(victim, BuildRecipe)
    assert victim.program.defence.alpha == 0.5


# What is written


@pytest.fixture
def stolen(monkeypatch: pytest.MonkeyPatch) -> list[DataFreeRecipe]:
    """Let thefts and searches write what nobody measured; gives the list of what was stolen."""
    made: list[DataFreeRecipe] = []

    def steal(recipe: DataFreeRecipe, folder, *_: object) -> None:
        made.append(recipe)
        theft = made_entry("qat", recipe.attack.name, None, 0).theft
        differs = theft.replace(attack=recipe.attack, pixels=recipe.pixels, simulated=recipe.simulated)
        write_whole(folder / "theft.json", differs.replace(adversary_error=share(len(made))).model_dump_json())

    monkeypatch.setattr(DataFreeRecipe, "produce", steal)
    monkeypatch.setattr(TunedRecipe, "produce", lambda _, folder, *__: write_search(folder, made_search()))
    return made


def write_search(folder, search: Search) -> None:
    write_whole(folder / "search.json", search.model_dump_json())


def test_entries_stand_in_a_tables_order(store: Store, stolen: list[DataFreeRecipe]) -> None:
    recipe = comparing(rows=("divqat", "large"), epsilons=(1.0,))
    found = recipe.open(store, silent)
    assert [(one.victim, one.attack, one.epsilon, one.control) for one in found.entries] == [
        ("large", "dfme", 1e-3, None),
        ("large", "dfme", 1e-3, "whole pixels"),
        ("large", "disguide", None, None),
        ("divqat", "dfme", 1e-3, None),
        ("divqat", "dfme", 1.0, None),
        ("divqat", "dfme", 1e-3, "simulated"),
        ("divqat", "disguide", None, None),
    ]
    assert [one.theft.adversary_error.successes for one in found.entries] == list(range(1, 8))
    assert [one.theft.simulated for one in found.entries] == [one.control == "simulated" for one in found.entries]
    assert DataFreeComparison.model_validate_json(found.model_dump_json()) == found


def test_what_is_stolen_is_stolen_once(store: Store, stolen: list[DataFreeRecipe]) -> None:
    recipe = comparing(rows=("qat",))
    first = recipe.open(store, silent)
    count = len(stolen)
    assert recipe.open(Store(store.root), silent) == first
    # Another comparison with a row more steals what is new alone.
    comparing(rows=("qat", "large")).open(store, silent)
    assert count == 5
    assert len(stolen) == count + 3


# What is read off the entries


@pytest.mark.parametrize(
    ("attack", "epsilon"),
    [("dfme", 1e-3), ("maze", 1e-3), ("maze-dfme", 1e-3), ("disguide", None), ("disguide-hard", None)],
)
def test_published_epsilons(attack: str, epsilon: float | None) -> None:
    assert published_epsilon(attack) == epsilon


def test_a_theft_is_found_by_what_it_is_of() -> None:
    found = made_thefts()
    for one in found.entries:
        assert found.find(one.victim, one.attack, one.epsilon, one.control) is one
    assert found.find("qat", "dfme") is None
    assert found.find("qat", "dfme", 1e-3).control is None
    assert found.find("large", "dfme", 1e-3, "simulated") is None


def moved(entry: DataFreeEntry, correlation: float | None) -> DataFreeEntry:
    """Change what the last differences of a theft were worth."""
    *first, last = entry.theft.curve
    masking = entry.masking.replace(correlation=correlation)
    point = last.replace(measured=last.measured.replace(masking=masking), zero_share=0.25)
    return entry.replace(theft=entry.theft.replace(curve=(*first, point)))


@pytest.mark.parametrize(
    ("correlation", "blind"), [(None, True), (-0.5, True), (0.1, True), (0.13, False), (0.97, False)]
)
def test_who_sees_nothing_of_the_slopes_is_blind(correlation: float | None, blind: bool) -> None:
    # The points before the last one do not count.
    entry = moved(made_entry("qat", "dfme", 1e-3 if not blind else 1.0), correlation)
    assert entry.is_blind is blind
    assert (entry.masking.correlation, entry.zero_share) == (correlation, 0.25)


def test_of_an_attack_without_differences_or_a_curve_nothing_is_known() -> None:
    entry = made_entry("qat", "disguide", None)
    bare = made_entry("qat", "dfme", 1.0)
    for one in (entry, bare.replace(theft=bare.theft.replace(curve=()))):
        assert (one.is_blind, one.masking, one.zero_share) == (None, None, None)


def erring(**counts: int) -> DataFreeComparison:
    """Thefts of the plain build by DFME whose clones err so often, by epsilon, and others that err less."""
    entries = []
    for name, count in counts.items():
        entry = made_entry("qat", "dfme", float(name.strip("e").replace("_", ".")))
        # On the test images it is the other way round, and they choose nothing.
        theft = entry.theft.replace(validation_error=share(count), adversary_error=share(100 - count))
        entries.append(entry.replace(theft=theft))
    best = entries[0].theft.replace(validation_error=share(0))
    others = (
        entries[0].replace(victim="divqat", theft=best),
        entries[0].replace(attack="maze", theft=best),
        entries[0].replace(control="simulated", theft=best),
    )
    return DataFreeComparison(entries=(*others, *entries))


@pytest.mark.parametrize(
    ("comparisons", "best"),
    [
        ([erring(e0_1=90, e1=50, e5=60)], 1.0),
        ([erring(e5=50, e1=50)], 1.0),
        # The mean over seeds decides, not the best of any.
        ([erring(e1=50, e5=40), erring(e1=50, e5=80)], 1.0),
        # An epsilon that one seed lacks is none to choose.
        ([erring(e1=50, e5=10), erring(e1=50)], 1.0),
    ],
)
def test_the_best_epsilon_is_that_against_the_plain_build(comparisons: list[DataFreeComparison], best: float) -> None:
    assert best_epsilon(comparisons, "dfme") == best


def test_without_validation_images_no_epsilon_is_the_best() -> None:
    (*others, entry) = made_thefts().entries
    unmeasured = [one.replace(theft=one.theft.replace(validation_error=None)) for one in (*others, entry)]
    assert best_epsilon([DataFreeComparison(entries=tuple(unmeasured))], "dfme") is None


def test_the_best_epsilon_of_what_was_not_tried_is_none() -> None:
    assert best_epsilon([made_thefts()], "maze") is None
    # Where another attack stands, and this one does not, nothing is missing.
    others = made_thefts(attacks=["disguide"])
    assert best_epsilon([made_thefts(), others], "dfme") == best_epsilon([made_thefts()], "dfme")
    assert best_epsilon([made_thefts()], "disguide") is None
    assert best_epsilon([], "dfme") is None


@pytest.mark.parametrize(
    ("data", "row", "dfme", "maze"),
    [
        ("cifar10", "large", 42.82, 67.70),
        ("cifar10", "divqat", 69.40, 90.00),
        ("cifar100", "ptq", 85.06, 95.17),
        ("gtsrb", "qat", 34.87, 83.95),
        ("svhn", "rs", 5.93, 32.45),
        ("svhn", "dcp", 13.50, 18.04),
    ],
)
def test_figures_of_the_paper(data: str, row: str, dfme: float, maze: float) -> None:
    found = [paper_clone_error(data, row, attack) for attack in ("dfme", "maze-dfme")]
    assert found == pytest.approx([dfme / 100, maze / 100])


@pytest.mark.parametrize(
    ("data", "row", "attack"),
    [
        ("digits", "qat", "dfme"),
        ("cifar10", "divqat+rs", "dfme"),
        ("cifar10", "held", "dfme"),
        # The paper's MAZE is another's.
        ("cifar10", "qat", "maze"),
        ("cifar10", "qat", "disguide"),
    ],
)
def test_the_paper_prints_nothing_else(data: str, row: str, attack: str) -> None:
    assert paper_clone_error(data, row, attack) is None
