"""Adaptation through the store: files, resume, and what the digest of a step stands for."""

import json
from pathlib import Path

import pytest
import torch

from edgerift import errors, images, zoo
from edgerift.adapt import AdaptRecipe, FinetuneRecipe, GivenOriginal, PtqSettings, QatSettings, given_original
from edgerift.deploy import Program, twin, twin_scores
from edgerift.images import ImagesSettings
from edgerift.measure import accuracy
from edgerift.steps import Store, silent
from edgerift.train import TrainRecipe, TrainSettings

IMAGES = ImagesSettings(size=12)
TRAIN = TrainSettings(epochs=1, batch_size=256, learning_rate=0.01, device="cpu")
ORIGINAL = TrainRecipe(
    images=IMAGES,
    architecture=zoo.Architecture(name="lenet", classes=10, size=12),
    settings=TRAIN.replace(epochs=8, batch_size=32, learning_rate=0.05),
)
SETTINGS = QatSettings(calibration=PtqSettings(calibration_images=64), train=TRAIN.replace(epochs=3))


def adapting(**changes: object) -> AdaptRecipe:
    # The quantizer of `server` takes a tenth of the time of that of `mobile`.
    fields = {"original": ORIGINAL, "images": IMAGES, "target": "server", "settings": SETTINGS}
    return AdaptRecipe(**{**fields, **changes})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture
def given(store: Store, tmp_path: Path) -> Path:
    path = tmp_path / "mine.safetensors"
    path.write_bytes((store.get(ORIGINAL) / "original.safetensors").read_bytes())
    return path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_store_keeps_a_program_and_its_history(store):
    folder = store.get(adapting())
    assert files(folder) == {"program.safetensors", "history.json", "history.png", "recipe.json", "SHA256SUMS"}
    program = Program.load(folder / "program.safetensors")
    history = json.loads((folder / "history.json").read_text())["epochs"]
    assert len(history) == 3
    assert program.provenance.method == "qat"
    assert program.provenance.settings == SETTINGS.model_dump(mode="json")
    held = images.open_splits(IMAGES).validation
    measured = accuracy(twin_scores(twin(program), held.images), held.labels).value
    assert history[-1]["validation_accuracy"] == pytest.approx(measured)


def test_post_training_quantization_keeps_a_program_alone(store):
    folder = store.get(adapting(method="ptq", target="mobile"))
    assert files(folder) == {"program.safetensors", "recipe.json", "SHA256SUMS"}
    program = Program.load(folder / "program.safetensors")
    assert (program.provenance.method, program.target) == ("ptq", "mobile")
    assert PtqSettings(**program.provenance.settings) == SETTINGS.calibration


def test_a_finished_step_does_no_work(store):
    told = []
    store.get(adapting())
    store.get(adapting(), lambda *progress: told.append(progress))
    assert told == []


def test_a_killed_adaptation_ends_in_the_same_bytes(store, tmp_path):
    class KilledError(Exception):
        pass

    def kill(task, done, total, note=""):
        if task == "qat" and done == 2 * total // 3 + 1:
            raise KilledError

    fresh = tmp_path / "killed"
    fresh.mkdir()
    with pytest.raises(KilledError):
        adapting().produce(fresh, store, kill)
    assert files(fresh) == {"checkpoint.pt"}
    adapting().produce(fresh, store, silent)
    finished = store.get(adapting())
    assert files(fresh) == files(finished) - {"recipe.json", "SHA256SUMS"}
    for name in files(fresh):
        assert (fresh / name).read_bytes() == (finished / name).read_bytes(), name


def test_the_control_is_the_original_trained_further(store):
    recipe = FinetuneRecipe(original=ORIGINAL, images=IMAGES, settings=SETTINGS.train)
    folder = store.get(recipe)
    assert files(folder) == {"original.safetensors", "history.json", "history.png", "recipe.json", "SHA256SUMS"}
    control = zoo.load(folder / "original.safetensors")
    first = zoo.load(store.get(ORIGINAL) / "original.safetensors")
    assert control.architecture == first.architecture
    assert not torch.equal(control.body[0].weight, first.body[0].weight)
    assert len(json.loads((folder / "history.json").read_text())["epochs"]) == 3


def test_a_given_original_is_adapted_as_the_trained_one(store, given):
    recipe = adapting(original=given_original(given), method="ptq")
    assert store.get(recipe.original).joinpath("original.safetensors").read_bytes() == given.read_bytes()
    own = Program.load(store.get(recipe) / "program.safetensors")
    made = Program.load(store.get(adapting(method="ptq")) / "program.safetensors")
    assert own.provenance == made.provenance
    assert own.operations == made.operations


def test_where_a_given_original_lies_does_not_count(given, tmp_path):
    moved = tmp_path / "elsewhere.safetensors"
    moved.write_bytes(given.read_bytes())
    first, second = given_original(given), given_original(moved, trust=True)
    assert first.digest() == second.digest()
    assert adapting(original=first).digest() == adapting(original=second).digest()
    moved.write_bytes(given.read_bytes() + b" ")
    assert given_original(moved).digest() != first.digest()
    assert "mine.safetensors" not in first.canonical_json()


def test_a_given_original_that_changed_is_refused(store, given):
    recipe = given_original(given)
    given.write_bytes(b"something else")
    with pytest.raises(errors.ModelError, match="has changed since it was named"):
        GivenOriginal(sha256=recipe.sha256[::-1], path=given).produce(given.parent, store, silent)


def test_a_given_original_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(errors.ModelError, match=r"cannot read the original at .*none\.safetensors \(No such file"):
        given_original(tmp_path / "none.safetensors")


OWN = """
from torch import nn

def network(classes):
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(108, classes))
"""


def test_a_factory_of_ones_own_is_trusted_where_the_recipe_names_it(store, tmp_path, monkeypatch):
    (tmp_path / "own_network_of_test_recipe.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    architecture = zoo.Architecture(name="own_network_of_test_recipe:network", classes=10, size=12)
    training = ORIGINAL.replace(architecture=architecture, settings=TRAIN)
    program = Program.load(store.get(adapting(original=training, method="ptq")) / "program.safetensors")
    assert program.classes == 10
    path = store.get(training) / "original.safetensors"
    with pytest.raises(errors.ModelError, match="--trust"):
        store.get(adapting(original=given_original(path), method="ptq"))
    trusted = adapting(original=given_original(path, trust=True), method="ptq")
    assert Program.load(store.get(trusted) / "program.safetensors").target == "server"


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "ptq"},
        {"target": "mobile"},
        {"images": IMAGES.replace(seed=1)},
        {"settings": SETTINGS.replace(observe_epochs=1)},
        {"settings": SETTINGS.replace(train=SETTINGS.train.replace(learning_rate=0.5))},
        {"settings": SETTINGS.replace(calibration=PtqSettings(calibration_images=65))},
        {"original": ORIGINAL.replace(init_seed=1)},
    ],
)
def test_what_can_change_a_program_changes_its_name(changes):
    assert adapting(**changes).digest() != adapting().digest()


def test_the_device_is_no_part_of_the_name():
    elsewhere = SETTINGS.replace(train=SETTINGS.train.replace(device="cuda"))
    assert adapting(settings=elsewhere).digest() == adapting().digest()


@pytest.mark.parametrize("model", [None, "resnet8"])
def test_an_original_is_read_again_from_its_json(model):
    given = GivenOriginal(sha256="0" * 64, model=model, path=Path("mine.pt"), trust=True)
    again = GivenOriginal.model_validate_json(given.canonical_json())
    assert (again.digest(), again.path, again.trust) == (given.digest(), Path(), False)
    adapted = AdaptRecipe.model_validate_json(adapting(original=given).canonical_json())
    assert adapted.digest() == adapting(original=given).digest()


def test_the_original_is_told_apart_by_its_type():
    recipe = adapting()
    assert AdaptRecipe.model_validate_json(recipe.canonical_json()).digest() == recipe.digest()
    with pytest.raises(errors.RecipeError, match="original"):
        AdaptRecipe(original={"type": "stolen"}, images=IMAGES)
