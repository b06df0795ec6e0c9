"""From the options of a theft to what is asked and how the clone is trained."""

import numpy as np
import pytest

from edgerift import zoo
from edgerift.cli._theft import TheftOptions, query_settings, question_budget, thief
from edgerift.errors import DataError, ModelError
from edgerift.images import ImagesSettings, resolve

DIGITS = ImagesSettings(source="digits", size=16, seed=3, fingerprint="known")


def victim(source, **fields):
    return ImagesSettings(source=source, size=32, fingerprint="known", **fields)


@pytest.fixture
def here(monkeypatch):
    """Every image set is here."""
    monkeypatch.setattr("edgerift.images.resolve", lambda described: described.replace(fingerprint="resolved"))


@pytest.mark.parametrize(
    ("source", "asked"),
    [("cifar10", "cifar100"), ("cifar100", "cifar10"), ("svhn", "cifar10"), ("gtsrb", "cifar10")],
)
def test_the_papers_query_sets_are_the_defaults(here, source, asked):
    found = query_settings(TheftOptions(), victim(source, seed=5), seed=6)
    assert (found.images.source, found.images.size, found.images.seed) == (asked, 32, 5)
    assert (found.images.fingerprint, found.collages, found.seed) == ("resolved", None, 6)
    assert question_budget(TheftOptions(), victim(source)) == 50_000


@pytest.mark.parametrize(("source", "budget"), [("digits", 2000), ("mnist", 50_000), ("photos/", 50_000)])
def test_all_else_is_asked_by_collages_of_the_victims_own_images(source, budget):
    own = victim(source)
    found = query_settings(TheftOptions(), own, seed=2)
    assert (found.images, found.collages, found.seed) == (own, budget, 2)
    assert query_settings(TheftOptions(queries="collages", budget=9), victim("cifar10")).collages == 9


def test_a_set_that_is_named_is_asked_about_whole(here):
    found = query_settings(TheftOptions(queries="svhn"), DIGITS)
    assert (found.images.source, found.images.size, found.collages) == ("svhn", 16, None)
    assert question_budget(TheftOptions(queries="svhn"), DIGITS) == 50_000
    assert question_budget(TheftOptions(queries="svhn", budget=3), DIGITS) == 3


def test_a_default_set_that_is_not_here_says_how_to_do_without(monkeypatch, tmp_path):
    def missing(described):
        raise DataError(f"no {described.source} here; download it")

    monkeypatch.setattr("edgerift.images.resolve", missing)
    with pytest.raises(DataError) as caught:
        query_settings(TheftOptions(), victim("cifar10"))
    assert "no cifar100 here; download it" in str(caught.value)
    assert "--queries collages" in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError) as caught:
        query_settings(TheftOptions(queries="cifar100"), victim("cifar10"))
    assert str(caught.value) == "no cifar100 here; download it"


@pytest.mark.parametrize(
    ("network", "student"),
    [
        ("resnet8", "resnet8"),
        ("lenet", "resnet8"),
        ("mine:factory", "resnet8"),
        ("resnet18", "resnet18"),
        ("resnet34_8x", "resnet18"),
        ("mobilenet_v2", "resnet18"),
    ],
)
def test_a_small_victim_has_a_small_clone(network, student):
    assert thief(TheftOptions(), victim("cifar10"), network).student == student
    assert thief(TheftOptions(student="lenet"), victim("cifar10"), network).student == "lenet"


def test_the_papers_training_at_a_higher_rate_is_the_default_and_digits_have_their_own():
    paper = thief(TheftOptions(), victim("cifar10"), "resnet18", seed=4, device="cpu")
    training = paper.training
    assert (training.epochs, training.learning_rate, training.batch_size) == (50, 0.05, 64)
    assert (training.momentum, training.nesterov, training.weight_decay, training.schedule) == (
        0.9,
        True,
        5e-4,
        "cosine",
    )
    assert (training.device, paper.labels) == ("cpu", "soft")
    small = thief(TheftOptions(), DIGITS, "resnet8", labels="hard")
    assert (small.training.epochs, small.training.learning_rate, small.training.batch_size) == (10, 0.2, 32)
    assert small.labels == "hard"
    chosen = TheftOptions(clone_epochs=2, clone_learning_rate=0.3, clone_batch_size=5, clone_seed=9)
    own = thief(chosen, DIGITS, "resnet8", seed=4)
    assert (own.training.epochs, own.training.learning_rate, own.training.batch_size) == (2, 0.3, 5)
    assert own.seed == own.training.seed == 9


def test_the_clone_does_not_start_from_the_victims_first_weights():
    own = thief(TheftOptions(), DIGITS, "resnet8", seed=4)
    assert own.seed == own.training.seed == 5
    first, second = (zoo.create(own.student, 10, seed=seed).state_dict() for seed in (4, own.seed))
    assert any(not first[name].equal(second[name]) for name in first)


def test_a_student_that_is_not_known_is_refused_at_once():
    with pytest.raises(ModelError, match="did you mean 'resnet8'"):
        thief(TheftOptions(student="resnet9"), DIGITS, "resnet8")


def test_digits_are_found(tmp_path):
    assert (
        query_settings(TheftOptions(queries="digits"), DIGITS).images.fingerprint
        == resolve(ImagesSettings(source="digits", size=16)).fingerprint
    )


def test_nobody_looks_at_the_labels_of_what_a_thief_asks_about(tmp_path):
    """Counted from 1, as-is for the victim or not: the images are the same ones."""
    pixels = np.random.default_rng(0).integers(0, 256, (200, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=pixels, labels=np.arange(200) % 2 * 5 + 1)
    for own in (DIGITS, DIGITS.replace(labels="as-is")):
        asked = query_settings(TheftOptions(queries=str(tmp_path / "set.npz")), own)
        found = asked.open()
        assert len(found) > 150
        assert {image.numpy().tobytes() for image in found.images[:, 0]} <= {image.tobytes() for image in pixels}
        # What it would be called otherwise it is called still.
        assert asked.images.labels is None
