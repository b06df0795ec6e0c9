"""What an original learned travels in its file, and classes are compared by their names."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from edgerift import adapt, train, zoo
from edgerift.adapt import ptq, qat
from edgerift.errors import ModelError, RecipeError
from edgerift.images import ImageSet

NAMES = ("cat", "dog", "owl")


def image_set(classes=NAMES, count=24):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 12, 12), generator=generator, dtype=torch.uint8)
    return ImageSet("pets", images, torch.arange(count) % len(classes), classes, f"made-{'-'.join(classes)}")


@pytest.fixture
def model():
    return zoo.create("lenet", 3, size=12)


def fit(model, **fields):
    return train.fit(model, image_set(), epochs=1, batch_size=8, learning_rate=0.01, device="cpu", **fields)


def test_training_says_what_it_saw_and_how_well(model, tmp_path):
    assert model.learned is None
    fit(model, validation=0.25)
    learned = model.learned
    assert (learned.data, learned.classes, learned.images) == ("pets", NAMES, 6)
    assert learned.accuracy * 6 == pytest.approx(round(learned.accuracy * 6))
    zoo.save(model, tmp_path / "model.safetensors")
    assert zoo.load(tmp_path / "model.safetensors").learned == learned


def test_without_images_held_out_there_is_no_accuracy(model):
    fit(model, validation=None)
    assert model.learned == zoo.Learned(data="pets", classes=NAMES)


def test_a_model_trained_on_answers_names_no_classes(model):
    """A thief's labels are not those of the victim."""
    fit(model, validation=None)
    targets = torch.full((24, 3), 1 / 3)

    def loss(model, images, targets):
        return torch.nn.functional.cross_entropy(model(images), targets)

    settings = train.TrainSettings(epochs=1, batch_size=8, device="cpu")
    train.run(model, image_set(), None, settings, loss=loss, targets=targets)
    assert model.learned is None


def test_a_file_of_before_is_taken(model, tmp_path):
    zoo.save(model, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert "learned" not in file.metadata()
    assert zoo.load(tmp_path / "model.safetensors").learned is None


@pytest.mark.parametrize(
    ("learned", "text"),
    [
        ("no", "description that is not allowed"),
        ({"data": "pets"}, "description that is not allowed: .*classes"),
        ({"data": "pets", "classes": ["cat", "dog"]}, "names 2 classes and answers 3"),
        ({"data": "pets", "classes": NAMES, "accuracy": 1.5, "images": 3}, "description that is not allowed"),
        ({"data": "pets", "classes": NAMES, "accuracy": 0.5}, "an accuracy and the number of its images go together"),
    ],
)
def test_a_header_that_contradicts_itself_is_one_line(model, tmp_path, learned, text):
    path = tmp_path / "model.safetensors"
    zoo.save(model, path)
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {**metadata, "learned": learned if learned == "no" else json.dumps(learned)})
    with pytest.raises(ModelError, match=text) as caught:
        zoo.load(path)
    assert "\n" not in str(caught.value)


def test_an_accuracy_is_one_of_images():
    with pytest.raises(RecipeError, match="give both or neither"):
        zoo.Learned(data="pets", classes=NAMES, images=5)


@pytest.mark.parametrize(
    ("known", "given", "moved"),
    [
        (NAMES, NAMES, None),
        (NAMES, ("dog", "cat", "owl"), "class 'cat' is number 0 to the model and 1 in pets (2 of 3"),
        (NAMES, ("owl", "cat", "dog"), "class 'cat' is number 0 to the model and 1 in pets (3 of 3"),
        (NAMES, ("cat", "owl", "crow"), "class 'owl' is number 2 to the model and 1 in pets (1 of 3"),
        (NAMES, ("cat", "dog", "crow"), None),
        (NAMES, ("chat", "chien", "hibou"), None),
        ((), NAMES, None),
        (NAMES, ("0", "1", "2"), None),
        (("1", "2", "3"), ("0", "1", "2"), None),
        (("0", "1", "10", "2"), ("0", "1", "2", "10"), "class '10' is number 2 to the model and 3 in pets (2 of 4"),
        (("a\x1b[2J", "b"), ("b", "a\x1b[2J"), r"class 'a\x1b[2J' is number 0 to the model"),
    ],
)
def test_classes_are_compared_by_name(known, given, moved):
    if moved is None:
        zoo.check_classes(known, given, "pets")
        return
    with pytest.raises(ModelError) as caught:
        zoo.check_classes(known, given, "pets")
    assert moved in str(caught.value)


def test_a_program_names_the_classes_of_its_answers(model):
    """Calibration sees no labels, so what it is shown names nothing; training does."""
    settings = {"epochs": 1, "batch_size": 8, "device": "cpu"}
    assert ptq(model, image_set(), calibration_images=8).provenance.classes == ()
    assert qat(model, image_set(), 0.25, **settings).provenance.classes == NAMES
    model.learned = zoo.Learned(data="pets", classes=NAMES)
    assert adapt.known_classes(model) == NAMES
    assert ptq(model, image_set(), calibration_images=8).provenance.classes == NAMES
    for method in (ptq, qat):
        with pytest.raises(ModelError, match="class 'cat' is number 0 to the model and 1 in pets"):
            method(model, image_set(("dog", "cat", "owl")))


def test_a_name_of_two_classes_says_nothing_of_the_order() -> None:
    zoo.check_classes(("crane", "cat", "crane"), ("crane", "cat", "crane"), "photos")
    with pytest.raises(ModelError, match="'cat' is number 1 to the model and 3 in photos"):
        zoo.check_classes(("crane", "cat", "crane", "dog"), ("crane", "dog", "crane", "cat"), "photos")
