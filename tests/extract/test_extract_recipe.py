"""A theft as the store keeps it: its figures by an independent computation, its files, and a theft that is killed."""

import contextlib
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from counted_victim import CountedVictim
from linear_pair import StandInBuild
from scipy import stats
from sklearn.metrics import accuracy_score, log_loss

from edgerift import zoo
from edgerift.adapt import given_original
from edgerift.defend import ReverseSigmoid, Rounding, TopK
from edgerift.deploy import given_build, open_build
from edgerift.errors import RecipeError, StoreError
from edgerift.extract import ExtractRecipe, Knockoff, Oracle, QuerySettings, Theft, open_victim
from edgerift.extract import _recipe as recipe_module
from edgerift.images import Augmentation, ImageSet, collages, open_splits
from edgerift.steps import Store, silent
from edgerift.train import TrainSettings

ATTACK = Knockoff(student="lenet", training=TrainSettings(epochs=3, batch_size=32, learning_rate=0.05, device="cpu"))
FILES = {"theft.json", "clone.safetensors", "ledger.bin", "history.json", "history.png"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def theft_of(small_pair):
    def make(**changes: Any) -> ExtractRecipe:
        fields = {
            "victim": given_build(small_pair.folder / "model.onnx"),
            "images": small_pair.images,
            "queries": QuerySettings(images=small_pair.images, collages=300),
            "budget": 200,
            "attack": ATTACK,
        }
        return ExtractRecipe(**{**fields, **changes})

    return make


def rows(logits: torch.Tensor) -> np.ndarray:
    values = logits.double().numpy()
    values = np.exp(values - values.max(1, keepdims=True))
    return values / values.sum(1, keepdims=True)


def clopper_pearson(successes: int, trials: int) -> tuple[float, float]:
    found = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
    return found.low, found.high


def assert_mean(part: Any, values: np.ndarray) -> None:
    error = 1.96 * values.std(ddof=1) / len(values) ** 0.5
    assert part.count == len(values)
    assert part.value == pytest.approx(values.mean(), abs=1e-6)
    assert (part.low, part.high) == pytest.approx((part.value - error, part.value + error), abs=1e-6)


def assert_rate(part: Any, wrong: np.ndarray) -> None:
    assert (part.successes, part.trials) == (wrong.sum(), len(wrong))
    assert part.value == pytest.approx(wrong.mean())
    assert (part.low, part.high) == pytest.approx(clopper_pearson(int(wrong.sum()), len(wrong)), abs=1e-9)


@pytest.mark.parametrize("defences", [(), (ReverseSigmoid(beta=0.4), Rounding(decimals=2))], ids=["bare", "defended"])
def test_the_figures_are_those_of_an_independent_computation(theft_of, small_pair, store, defences) -> None:
    recipe = theft_of(defences=defences)
    theft = recipe.theft(store, silent)
    folder = store.get(recipe)
    assert {path.name for path in folder.iterdir()} == {*FILES, "recipe.json", "SHA256SUMS"}
    test = open_splits(small_pair.images).test
    labels = test.labels.numpy()
    build = open_build(small_pair.folder / "model.onnx")
    model = zoo.load(folder / "clone.safetensors")
    with torch.no_grad():
        clone = rows(model(test.images.float() / 255))
    clean = rows(build.predict(test.images))
    answers = torch.from_numpy(clean).float()
    for defence in defences:
        answers = defence(answers)
    answers = answers.double().numpy()
    assert_rate(theft.defender_error, answers.argmax(1) != labels)
    assert_rate(theft.adversary_error, clone.argmax(1) != labels)
    assert_rate(theft.disagreement, answers.argmax(1) != clone.argmax(1))
    assert theft.adversary_error.value == pytest.approx(1 - accuracy_score(labels, clone.argmax(1)))
    assert_mean(theft.l1, np.abs(answers - clean).sum(1))
    assert (theft.l1.value > 0.05) == bool(defences)
    floor = 1e-12
    logarithms = np.log(np.maximum(answers, floor)) - np.log(np.maximum(clone, floor))
    assert_mean(theft.divergence, (answers * logarithms).sum(1))
    clipped = np.maximum(answers, floor)
    assert theft.negative_log_likelihood == pytest.approx(
        -np.log(clipped[np.arange(len(labels)), labels]).mean(), abs=1e-6
    )
    if not defences:
        assert theft.negative_log_likelihood == pytest.approx(log_loss(labels, clean, labels=range(10)), abs=1e-6)
    confidence, right = answers.max(1), answers.argmax(1) == labels
    edges = np.linspace(0, 1, 16)
    inside = [(confidence > low) & (confidence <= high) for low, high in itertools.pairwise(edges)]
    gaps = [abs(confidence[part].mean() - right[part].mean()) * part.mean() for part in inside if part.any()]
    assert theft.calibration_error == pytest.approx(sum(gaps), abs=1e-5)

    queries = collages(open_splits(small_pair.images).train, 300)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:200]
    asked = torch.from_numpy(rows(build.predict(queries.images[order]))).float()
    told = asked
    for defence in defences:
        told = defence(told)
    assert_mean(theft.l1_queries, (told - asked).abs().sum(1).double().numpy())
    assert (theft.spent, theft.budget, theft.queries) == (200, 200, "digits collages")
    assert (theft.attack.model_dump(), theft.defences) == (ATTACK.model_dump(), defences)
    with Oracle(build, budget=200, defence=defences, ledger=folder / "ledger.bin") as oracle:
        assert oracle.spent == 200
        assert torch.allclose(oracle.ask(queries.images[order]), told, atol=1e-6)

    accuracies = [epoch["validation_accuracy"] for epoch in json.loads((folder / "history.json").read_text())["epochs"]]
    assert len(accuracies) == 3
    assert theft.best_epoch.epoch == int(np.argmax(accuracies)) + 1
    assert theft.best_epoch.error == pytest.approx(1 - max(accuracies))
    assert theft.adversary_error.value == pytest.approx(1 - accuracies[-1])


def test_a_theft_is_read_back_as_it_was_written(theft_of, store) -> None:
    recipe = theft_of()
    theft = recipe.theft(store, silent)
    path = store.get(recipe) / "theft.json"
    assert Theft.model_validate_json(theft.model_dump_json()) == theft
    content = path.read_text()
    try:
        for damage in ("{", content.replace('"spent"', '"spend"'), content.replace("200", '"many"')):
            path.write_text(damage)
            # As an earlier version left it: what is sealed is refused before anybody reads it.
            (path.parent / "SHA256SUMS").unlink()
            with pytest.raises(StoreError, match=r"delete .* and run again"):
                recipe.theft(store, silent)
        path.unlink()
        with pytest.raises(StoreError, match=r"delete .* and run again"):
            recipe.theft(store, silent)
    finally:
        path.write_text(content)
        (path.parent / "SHA256SUMS").unlink(missing_ok=True)
    assert recipe.theft(store, silent) == theft


def test_an_original_can_be_stolen_as_a_build_can(theft_of, small_pair, store) -> None:
    original = given_original(small_pair.folder / "original.safetensors")
    theft = theft_of(victim=original).theft(store, silent)
    test = open_splits(small_pair.images).test
    model = zoo.load(small_pair.folder / "original.safetensors")
    with torch.no_grad():
        wrong = int((model(test.images / 255).argmax(1) != test.labels).sum())
    assert theft.defender_error.successes == wrong
    assert theft.l1.value == 0
    assert isinstance(open_victim(original, store, silent), zoo.Classifier)
    assert open_victim(theft_of().victim, store, silent).runtime == "onnxruntime"


def test_the_thief_gains_from_a_larger_budget(theft_of, small_pair, store) -> None:
    """What is stolen is the victim: far better than chance, and better than from few questions."""
    training = ATTACK.training.replace(epochs=6)
    queries = QuerySettings(images=small_pair.images)
    attack = ATTACK.replace(training=training)
    errors = [
        theft_of(queries=queries, budget=budget, attack=attack).theft(store, silent).adversary_error.value
        for budget in (40, 100_000)
    ]
    assert errors[1] < 0.15
    assert errors[1] < errors[0] - 0.1


def test_a_budget_beyond_the_set_is_not_spent(theft_of, small_pair, store) -> None:
    theft = theft_of(queries=QuerySettings(images=small_pair.images), budget=100_000).theft(store, silent)
    train = open_splits(small_pair.images).train
    assert theft.spent == len({image.numpy().tobytes() for image in train.images})
    assert theft.l1_queries.count == len(train)
    assert theft.queries == "digits"


def test_a_query_set_is_the_training_images_or_collages_of_them(small_pair) -> None:
    train = open_splits(small_pair.images).train
    assert torch.equal(QuerySettings(images=small_pair.images).open().images, train.images)
    made = QuerySettings(images=small_pair.images, collages=40, seed=3).open()
    assert torch.equal(made.images, collages(train, 40, seed=3).images)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("points", [(2, 2), (9,), (15, 10)])
def test_a_killed_theft_ends_with_the_same_files_and_asks_about_nothing_twice(
    theft_of, small_pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: tuple[int, ...]
) -> None:
    """Killed while it asks, in parts of 64, or while it trains; the build is a stand-in that counts."""
    monkeypatch.setattr("edgerift.extract._oracle.PART", 64)
    victim = CountedVictim(10, 12)
    monkeypatch.setattr(recipe_module, "open_victim", lambda *_: StandInBuild(victim))
    # What the defender measures is not asked by the thief.
    monkeypatch.setattr(recipe_module, "posteriors", lambda _, images: victim.posteriors(images))
    recipe = theft_of(attack=ATTACK.replace(views=2))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    monkeypatch.setattr(
        QuerySettings, "open", lambda self: changed(collages(open_splits(self.images).train, 150, seed=self.seed))
    )
    recipe.produce(whole, Store(tmp_path), silent)
    assert set(victim.asked.values()) == {1}
    victim.asked.clear()

    for point in points:
        left = [point]

        def kill(task: str, done: int, total: int, note: str = "", left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise KilledError

        with contextlib.suppress(KilledError):
            recipe.produce(killed, Store(tmp_path), kill)
            assert {path.name for path in killed.iterdir()} == FILES
    recipe.produce(killed, Store(tmp_path), silent)
    assert set(victim.asked.values()) == {1}
    assert {path.name for path in killed.iterdir()} == {path.name for path in whole.iterdir()} == FILES
    for name in FILES:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def changed(image_set: ImageSet) -> ImageSet:
    """Allow mirroring, which digits do not."""
    return replace(image_set, augmentation=Augmentation(flip=True, crop=1))


def test_the_name_of_a_theft_stands_for_all_that_decides_it(theft_of, small_pair) -> None:
    original = given_original(small_pair.folder / "original.safetensors")
    images = small_pair.images
    recipes = [
        theft_of(),
        theft_of(victim=original),
        theft_of(defences=(TopK(k=1),)),
        theft_of(budget=201),
        theft_of(queries=QuerySettings(images=images)),
        theft_of(queries=QuerySettings(images=images, collages=300, seed=1)),
        theft_of(images=images.replace(seed=1)),
        theft_of(attack=ATTACK.replace(seed=1)),
        theft_of(attack=ATTACK.replace(labels="hard")),
        theft_of(attack=ATTACK.replace(undo=(TopK(k=1),))),
    ]
    assert len({recipe.digest() for recipe in recipes}) == len(recipes)
    device = ATTACK.replace(training=ATTACK.training.replace(device="auto"))
    assert theft_of(attack=device).digest() == theft_of().digest()


def test_answers_that_cannot_be_compared_are_refused_before_anything_is_paid(theft_of) -> None:
    with pytest.raises(RecipeError, match="use top-k with renormalise true"):
        theft_of(defences=(TopK(k=2, renormalise=False),))
    with pytest.raises(RecipeError, match="budget"):
        theft_of(budget=0)
    with pytest.raises(RecipeError, match="collages"):
        QuerySettings(images=theft_of().images, collages=0)
