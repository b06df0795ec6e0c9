import json
from pathlib import Path

import pytest
import torch

from edgerift import errors, images, zoo
from edgerift.images import ImagesSettings
from edgerift.steps import Store, silent
from edgerift.train import TrainRecipe, TrainSettings


def recipe(**changes: object) -> TrainRecipe:
    fields: dict[str, object] = {
        "images": ImagesSettings(size=12),
        "architecture": zoo.Architecture(name="lenet", classes=10, size=12),
        "settings": TrainSettings(epochs=2, batch_size=256, learning_rate=0.05, device="cpu"),
    }
    return TrainRecipe(**{**fields, **changes})


def test_the_store_keeps_an_original_and_its_history(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    folder = store.get(recipe(), progress=silent)
    model = zoo.load(folder / "original.safetensors")
    history = json.loads((folder / "history.json").read_text())["epochs"]
    assert len(history) == 2
    assert (folder / "history.png").stat().st_size > 1000
    assert not (folder / "checkpoint.pt").exists()
    held = images.open_splits(ImagesSettings(size=12)).validation
    with torch.no_grad():
        right = (model(images.to_float(held.images)).argmax(1) == held.labels).double().mean().item()
    assert history[-1]["validation_accuracy"] == pytest.approx(right)


def test_a_killed_recipe_ends_in_the_same_bytes(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill(task: str, done: int, total: int, note: str = "") -> None:
        if done == total // 2 + 1:
            raise KilledError

    straight, killed = tmp_path / "straight", tmp_path / "killed"
    straight.mkdir()
    killed.mkdir()
    store = Store(tmp_path / "store")
    recipe().produce(straight, store, silent)
    with pytest.raises(KilledError):
        recipe().produce(killed, store, kill)
    assert [path.name for path in killed.iterdir()] == ["checkpoint.pt"]
    recipe().produce(killed, store, silent)
    files = sorted(path.name for path in straight.iterdir())
    assert files == ["history.json", "history.png", "original.safetensors"]
    for name in files:
        assert (straight / name).read_bytes() == (killed / name).read_bytes(), name


def test_the_device_is_no_part_of_the_recipe_and_the_rest_is() -> None:
    settings = recipe().settings
    assert recipe(settings=settings.replace(device="auto")).digest() == recipe().digest()
    others = [recipe(settings=settings.replace(seed=1)), recipe(init_seed=1)]
    assert len({recipe().digest(), *(other.digest() for other in others)}) == 3


def test_only_factories_of_ones_own_have_the_name_of_one() -> None:
    own = recipe(architecture=zoo.Architecture(name="nets:soft", classes=10, size=12))
    told = json.loads(own.canonical_json())
    assert told.pop("own_factory") is True
    assert sorted(told) == sorted(json.loads(recipe().canonical_json()))
    assert TrainRecipe.model_validate_json(own.canonical_json()).digest() == own.digest()
    assert own.replace(architecture=recipe().architecture).digest() == recipe().digest()


def test_sizes_that_differ() -> None:
    with pytest.raises(errors.RecipeError, match="images are 16 pixels and 'lenet' is made for 12"):
        recipe(images=ImagesSettings(size=16))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"architecture": zoo.Architecture(name="lenet", classes=9, size=12)},
            "has 9 classes, the data has 10",
        ),
        (
            {"images": ImagesSettings(), "architecture": zoo.Architecture(name="lenet", classes=10, size=13)},
            "set the size of the images to 13",
        ),
    ],
)
def test_an_architecture_that_does_not_fit(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(errors.ModelError, match=message):
        recipe(**changes).produce(tmp_path, Store(tmp_path / "store"), silent)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []
