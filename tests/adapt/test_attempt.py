"""A training that may diverge: what is written of it, and what of it is kept."""

import json
from pathlib import Path

import pytest

from edgerift import zoo
from edgerift.adapt import AttemptRecipe, Divqat, HardenedRecipe, PtqSettings, QatSettings
from edgerift.deploy import Program
from edgerift.errors import DivergedError
from edgerift.images import ImagesSettings
from edgerift.steps import Store, silent
from edgerift.train import TrainRecipe, TrainSettings

IMAGES = ImagesSettings(size=12)
TRAIN = TrainSettings(epochs=1, batch_size=64, learning_rate=0.02, device="cpu")


def attempt(alpha: float) -> AttemptRecipe:
    original = TrainRecipe(
        images=IMAGES,
        architecture=zoo.Architecture(name="lenet", classes=10, size=12),
        settings=TRAIN.replace(learning_rate=0.05),
    )
    settings = QatSettings(calibration=PtqSettings(calibration_images=64), train=TRAIN)
    training = HardenedRecipe(
        original=original, images=IMAGES, target="server", settings=settings, defence=Divqat(alpha=alpha)
    )
    return AttemptRecipe(hardened=training)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize(("alpha", "diverges"), [(0.5, False), (1e40, True)])
def test_the_outcome_is_that_of_the_training(store: Store, alpha: float, *, diverges: bool) -> None:
    recipe = attempt(alpha)
    assert recipe.needs(store) == (recipe.hardened.original,)
    assert recipe.asked(store) == ()
    assert recipe.diverged(store, silent) is diverges
    # The program of a training that went well is a step of its own, which is there for whoever builds it.
    assert store.has(recipe.hardened) is not diverges
    assert recipe.asked(store) == (() if diverges else (recipe.hardened,))
    if not diverges:
        assert Program.load(store.get(recipe.hardened) / "program.safetensors").provenance.method == "divqat"


def test_why_a_training_diverged_is_told_and_written(tmp_path: Path, store: Store) -> None:
    told: list[str] = []
    attempt(1e40).produce(tmp_path, store, lambda *given: told.append(given[-1]))
    written = json.loads((tmp_path / "attempt.json").read_text())
    assert written["diverged"] is True
    assert written["reason"].startswith("the loss is ")
    assert told[-1] == f"strength 1e+40: {written['reason']}"


def test_an_original_that_diverges_is_an_error_and_no_outcome(tmp_path: Path) -> None:
    recipe = attempt(0.5)
    original = recipe.hardened.original.replace(settings=TRAIN.replace(learning_rate=1e30))
    with pytest.raises(DivergedError):
        recipe.replace(hardened=recipe.hardened.replace(original=original)).diverged(Store(tmp_path), silent)


def test_what_is_stored_is_not_trained_again(store: Store) -> None:
    recipe, told = attempt(1e40), []
    recipe.diverged(store, silent)
    assert recipe.diverged(store, lambda *given: told.append(given))
    assert told == []
