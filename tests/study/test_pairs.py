"""One adapted model under attack: each figure of its report against another way to find it."""

import base64
import itertools

import pytest
import torch

from edgerift.adapt import FinetuneRecipe
from edgerift.errors import RecipeError
from edgerift.evade import Attack, CrossEntropy, read_png
from edgerift.images import open_splits
from edgerift.measure import mcnemar, rate_of
from edgerift.steps import Store, silent
from edgerift.study import PairRecipe, PairReport
from edgerift.train import TrainSettings, read_history

ATTACKS = {
    "weak": Attack(epsilon=2, steps=1, objective=CrossEntropy(), stop="never"),
    "strong": Attack(epsilon=40, steps=6, step=8.0, stop="never"),
    "none": Attack(epsilon=0, steps=0),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def recipe(small_pair):
    return PairRecipe(
        pair=small_pair.settings(), images=small_pair.images, attacks=ATTACKS, count=40, draw=3, pictured="strong"
    )


@pytest.fixture(scope="module")
def report(recipe, store) -> PairReport:
    return recipe.open(store, silent)


def test_the_report_comes_back_as_it_was(recipe, store, report):
    assert PairReport.model_validate_json(report.model_dump_json()) == report == recipe.open(store, silent)
    assert list(report.attacks) == list(ATTACKS)
    assert report.classes == tuple("0123456789")


def test_accuracies_are_those_of_both_models_on_all_test_images(recipe, store, report):
    test = open_splits(recipe.images).test
    pair, _ = recipe.pair.open(store, silent)
    original = pair.original_scores(test.images).argmax(1) == test.labels
    build = pair.build_scores(test.images).argmax(1) == test.labels
    for found, right in (
        (report.original_accuracy, original),
        (report.build_accuracy, build),
        (report.instability, original ^ build),
    ):
        assert (found.successes, found.trials) == (int(right.sum()), len(test))


def test_attacks_are_on_the_same_images(recipe, store, report):
    found = {name: recipe.searching(name).open(store, silent) for name in ATTACKS}
    assert report.attacked == 40
    assert len({tuple(result.index.tolist()) for result in found.values()}) == 1
    for name, result in found.items():
        assert result.attack == ATTACKS[name]
        part = report.attacks[name]
        assert rate_of(part.evasive).successes == int(result.evasive.sum())
        assert part.evasive.trials == 40
    assert report.attacks["none"].evasive.successes == 0
    assert report.attacks["strong"].evasive.successes > report.attacks["weak"].evasive.successes
    assert [(part.first, part.second) for part in report.comparisons] == list(itertools.combinations(ATTACKS, 2))
    for part in report.comparisons:
        one, other = found[part.first].evasive, found[part.second].evasive
        alone = int((one & ~other).sum()), int((other & ~one).sum())
        assert (part.only_first, part.only_second) == alone
        assert part.p == mcnemar(*alone)


def test_examples_are_evasive_images_as_they_were_judged(recipe, store, report):
    found = recipe.searching("strong").open(store, silent)
    pair, _ = recipe.pair.open(store, silent)
    assert 1 <= len(report.examples) <= 4
    labels = [example.label for example in report.examples]
    evasive = set(found.labels[found.evasive].tolist())
    assert labels == sorted(evasive)[:4]
    for example in report.examples:
        clean, attacked = (read_png(base64.b64decode(text))[None] for text in (example.clean_png, example.attacked_png))
        assert int((clean.int() - attacked.int()).abs().max()) <= 40
        # The first one of its class.
        row = next(row for row in found.evasive.nonzero()[:, 0] if int(found.labels[row]) == example.label)
        assert torch.equal(found.clean[row], clean[0])
        assert torch.equal(found.images[row], attacked[0])
        original = pair.original_scores(attacked).double().softmax(1)[0]
        build = pair.build_scores(attacked).double().softmax(1)[0]
        assert example.original_label == example.label == int(original.argmax())
        assert example.build_label == int(build.argmax()) != example.label
        assert example.original_probability == pytest.approx(float(original.max()), abs=1e-4)
        assert example.build_probability == pytest.approx(float(build.max()), abs=1e-4)


def test_pictures_only_where_they_are_asked_for(recipe, store, report):
    assert {part.method for part in report.embeddings} == {"pca", "tsne"}
    assert {len(part.label) for part in report.embeddings} == {4 * 40}
    plain = recipe.replace(pictured=None).open(store, silent)
    assert (plain.embeddings, plain.examples) == ((), ())
    assert plain.replace(embeddings=report.embeddings, examples=report.examples) == report


@pytest.mark.parametrize(("classes", "shown"), [((1, 2), {1, 2}), ((9,), None), ((99,), None)])
def test_pictures_of_some_classes(recipe, store, classes, shown):
    """There is nothing to show of fewer than three images."""
    found = recipe.replace(classes=classes).open(store, silent)
    labels = recipe.searching("strong").open(store, silent).labels
    count = int(torch.isin(labels, torch.tensor(classes)).sum())
    assert (count >= 3) is (len(found.embeddings) == 2)
    for part in found.embeddings:
        assert set(part.label) <= set(classes)
        assert len(part.label) == 4 * count
    if shown is not None:
        assert {label for part in found.embeddings for label in part.label} == shown


def test_the_control_is_a_pair_of_floats_with_a_history(recipe, small_pair, store, report):
    settings = TrainSettings(epochs=2, batch_size=256, learning_rate=0.01, device="cpu")
    original = small_pair.settings().original
    control = FinetuneRecipe(original=original, images=small_pair.images, settings=settings)
    found = recipe.replace(pair=small_pair.settings().replace(control=control)).open(store, silent)
    # Where a pair of given files has none.
    assert (report.original_epochs, report.adapted_epochs) == ((), ())
    assert found.original_epochs == ()
    history = read_history((store.get(control) / "history.json").read_text())
    assert [epoch.loss for epoch in found.adapted_epochs] == [epoch.train_loss for epoch in history.epochs]
    assert [epoch.validation_accuracy for epoch in found.adapted_epochs] == [
        epoch.validation_accuracy for epoch in history.epochs
    ]
    assert len(found.adapted_epochs) == 2
    assert found.embeddings == ()
    assert found.original_accuracy == report.original_accuracy
    assert found.build_accuracy != report.build_accuracy


def test_the_same_bytes_each_time(recipe, store, tmp_path):
    first = (store.get(recipe) / "pair.json").read_bytes()
    recipe.produce(tmp_path, store, silent)
    assert (tmp_path / "pair.json").read_bytes() == first


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"attacks": {}}, "PairRecipe.attacks is {}; it must have at least 1 item"),
        ({"pictured": "other"}, "pictured is 'other'; it must be one of the attacks weak, strong, none"),
        ({"count": 0}, "PairRecipe.count is 0"),
    ],
)
def test_what_cannot_be_reported(recipe, fields, told):
    with pytest.raises(RecipeError, match=told.replace("{", r"\{").replace("}", r"\}")):
        recipe.replace(**fields)


def test_how_a_search_is_cut_is_no_part_of_what_is_found(recipe):
    assert recipe.replace(shard=1).digest() == recipe.digest()
    assert recipe.replace(shard=1).searching("weak").shard == 1
    for change in (
        {"draw": 4},
        {"count": 41},
        {"pictured": None},
        {"classes": (1,)},
        {"attacks": {"strong": Attack()}},
    ):
        assert recipe.replace(**change).digest() != recipe.digest()
