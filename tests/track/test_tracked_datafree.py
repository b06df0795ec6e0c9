"""What is told of finished thefts without images, without anything being built or fetched for it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from made_datafree import made_thefts
from made_hardening import made_search

from edgerift.adapt import TunedRecipe
from edgerift.harden import DataFreeHardenRecipe
from edgerift.run import key_of
from edgerift.steps import Recipe, Store
from edgerift.study import Study, make_cells
from edgerift.track._tracked import CellLog, cell_log
from edgerift.track._tracked_datafree import data_free_steps

STUDY = Study.model_validate(
    {
        "study": "toy",
        "title": "A toy",
        "seeds": [3],
        "size": 12,
        "data": {"digits": {}},
        "originals": {"ResNet": {"model": "resnet8"}},
        "theft": {
            "rows": ["qat"],
            "targets": ["server"],
            "data_free": {"attacks": {"dfme": {}, "disguide": {}}, "epsilons": [1.0], "budget": 100_000},
        },
    }
)
NAMES = ("dfme", "disguide")
FOUND = made_thefts(2, NAMES, (1.0,))
LABELS = [
    *("large.dfme.epsilon-0.001", "large.dfme.epsilon-0.001.whole-pixels"),
    "large.disguide",
    *("qat.dfme.epsilon-0.001", "qat.dfme.epsilon-1", "qat.dfme.epsilon-0.001.simulated"),
    "qat.disguide",
    *("divqat.dfme.epsilon-0.001", "divqat.dfme.epsilon-1", "divqat.dfme.epsilon-0.001.simulated"),
    "divqat.disguide",
]


def keep(store: Store, recipe: Recipe, **files: str) -> Path:
    folder = store.root / key_of(recipe)
    folder.mkdir(parents=True)
    (folder / "recipe.json").write_text(recipe.canonical_json() + "\n")
    for name, content in files.items():
        (folder / name.replace("__", "-").replace("_", ".")).write_text(content)
    return folder


@pytest.fixture(scope="session")
def cell(session_folders):
    """The cell of one attack, with the other one's thefts in its recipe as well."""
    dfme, disguide = (cell for cell in make_cells(STUDY) if cell.kind.startswith("data-free"))
    return replace(dfme, recipe=dfme.recipe.replace(attacks=(*dfme.recipe.attacks, *disguide.recipe.attacks)))


@pytest.fixture
def store(tmp_path, cell, monkeypatch):
    """A store with the comparison alone, which can build nothing."""
    store = Store(tmp_path / "store")
    keep(store, cell.recipe, data__free_json=FOUND.model_dump_json())

    def refuse(recipe, *_):
        raise AssertionError(f"{recipe.type} was to be built")

    for kind in (TunedRecipe, DataFreeHardenRecipe):
        monkeypatch.setattr(kind, "produce", refuse)
    return store


def search(store: Store, recipe: DataFreeHardenRecipe) -> None:
    """Let the search for DivQAT's strength be on this machine."""
    (tuned,) = recipe.victims.choosing("divqat")
    keep(store, tuned, search_json=made_search().model_dump_json())


def told(log: CellLog) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for point in log.points:
        assert point.step not in found.setdefault(point.name, {}), point
        found[point.name][point.step] = point.value
    return found


def test_the_cell_says_where_it_stands(store, cell):
    log = cell_log(cell, STUDY, "small", store)
    assert log.name == "digits, ResNet, data-free dfme, seed 3"
    expected = {
        "data": "digits",
        "original": "ResNet",
        "target": "server",
        "seed": "3",
        "budget": "100000",
        "epsilons": "[1.0]",
        "attacks.0.name": "dfme",
        "attacks.1.clones": "2",
    }
    assert {name: log.settings.get(name) for name in expected} == expected
    assert log.tags["edgerift.step"] == "data-free-harden"
    assert log.tags["edgerift.fingerprint"] == cell.recipe.victims.images.fingerprint
    assert [file.path.name for file in log.files] == ["data-free.json", "recipe.json"]


def name_of(entry, metric: str) -> str:
    """Name a figure of a theft, by the words of `records.csv` without signs."""
    attack = entry.attack if entry.epsilon is None else f"{entry.attack}, epsilon {entry.epsilon:g}"
    attack = attack if entry.control is None else f"{attack}, {entry.control}"
    parts = [entry.victim, attack, "resnet8", "soft", metric]
    return ".".join(re.sub(r"[^0-9A-Za-z_ -]", "_", part) for part in parts)


def test_each_theft_is_told_under_its_own_name(store, cell):
    found = told(cell_log(cell, STUDY, "small", store))
    for entry in FOUND.entries:
        theft = entry.theft
        assert found[name_of(entry, "questions")] == {0: theft.spent}
        parts = {
            "defender's error": theft.defender_error,
            "adversary's error": theft.adversary_error,
            "disagreement": theft.disagreement,
            "l1 of the defence": theft.l1,
            "KL of clone and victim": theft.divergence,
        }
        for metric, part in parts.items():
            ends = [found[f"{name_of(entry, metric)}{ending}"] for ending in ("", ".low", ".high")]
            assert ends == [{0: part.value}, {0: part.low}, {0: part.high}]


def test_curves_are_over_the_questions(store, cell):
    found = told(cell_log(cell, STUDY, "small", store))
    for entry in FOUND.entries:
        measured = {point.queries: point.measured for point in entry.theft.curve}
        masks = {at: point.masking for at, point in measured.items() if point.masking}
        expected = {
            "clone's loss": {point.queries: point.clone_loss for point in entry.theft.curve},
            "adversary's error": {at: point.error for at, point in measured.items()},
            "disagreement": {at: point.disagreement for at, point in measured.items()},
            "KL of clone and victim": {at: point.divergence for at, point in measured.items()},
            "differences that are zero": {
                point.queries: point.zero_share for point in entry.theft.curve if point.zero_share is not None
            },
            "correlation of differences and slopes": {
                at: mask.correlation for at, mask in masks.items() if mask.correlation is not None
            },
            "size of differences over slopes": {at: mask.ratio for at, mask in masks.items() if mask.ratio is not None},
        }
        for metric, curve in expected.items():
            assert found.get(name_of(entry, f"curve: {metric}"), {}) == curve


def test_thefts_of_a_row_whose_search_is_elsewhere_are_left_out_and_nothing_is_built(store, cell):
    without = dict(data_free_steps(cell.recipe, store))
    assert list(without) == [label for label in LABELS if not label.startswith("divqat")]
    search(store, cell.recipe)
    whole = dict(data_free_steps(cell.recipe, store))
    assert list(whole) == LABELS
    assert {label: whole[label].digest() for label in without} == {
        label: step.digest() for label, step in without.items()
    }
    for label, entry in zip(LABELS, FOUND.entries, strict=True):
        differences = whole[label].attack.differences
        assert (whole[label].attack.name, whole[label].simulated) == (entry.attack, entry.control == "simulated")
        assert (None if differences is None else differences.epsilon) == entry.epsilon


def test_the_pictures_of_thefts_that_are_here_are_told(store, cell):
    search(store, cell.recipe)
    steps = dict(data_free_steps(cell.recipe, store))
    for label in ("divqat.dfme.epsilon-1", "large.disguide"):
        (keep(store, steps[label]) / "curve.png").write_bytes(label.encode())
    log = cell_log(cell, STUDY, "small", store)
    pictures = {file.folder: file.path.read_bytes().decode() for file in log.files if file.folder}
    assert pictures == {f"pictures/{label}": label for label in ("divqat.dfme.epsilon-1", "large.disguide")}
