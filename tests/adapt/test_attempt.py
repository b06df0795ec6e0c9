"""A training that may diverge: what is written of it, and what of it is kept."""

import pytest

from edgerift import zoo
from edgerift.adapt import AttemptRecipe, Divqat, HardenedRecipe, PtqSettings, QatSettings
from edgerift.deploy import Program
from edgerift.errors import StoreError
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


def test_what_is_stored_is_not_trained_again(store: Store) -> None:
    recipe, told = attempt(1e40), []
    recipe.diverged(store, silent)
    assert recipe.diverged(store, lambda *given: told.append(given))
    assert told == []


def test_a_damaged_outcome_is_refused(store: Store) -> None:
    recipe = attempt(1e40)
    (store.get(recipe) / "attempt.json").write_text('{"diverged": "perhaps"}')
    with pytest.raises(StoreError):
        recipe.diverged(store, silent)
