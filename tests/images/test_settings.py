from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgerift.errors import DataError, RecipeError
from edgerift.images import Augmentation, ImageSet, ImagesSettings, class_names, load, open_splits, resolve, split


@pytest.fixture
def mirrors(tmp_path: Path, parquet: Callable[..., Path], pixels: Callable[..., Any]) -> list[Path]:
    """Make two folders with the same set in them."""
    roots = [tmp_path / "first", tmp_path / "second"]
    for root in roots:
        parquet(root / "mnist/train.parquet", pixels(20), {"label": [0, 1] * 10})
        parquet(root / "mnist/test.parquet", pixels(4), {"label": [0, 1] * 2})
    return roots


def test_equal_content_gives_equal_settings_wherever_it_lies(
    mirrors: list[Path], parquet: Callable[..., Path], pixels: Callable[..., Any]
) -> None:
    settings = ImagesSettings(source="mnist")
    first, second = (resolve(settings, root) for root in mirrors)
    assert first == second
    assert first.fingerprint != ""
    assert resolve(first, mirrors[0]) == first
    parquet(mirrors[1] / "mnist/test.parquet", pixels(4, seed=1), {"label": [0, 1] * 2})
    assert resolve(settings, mirrors[1]) != first
    with pytest.raises(DataError, match="the images of 'mnist' have changed"):
        open_splits(first, mirrors[1])


def test_classes_are_brought_into_an_order_with_their_labels(mirrors: list[Path]) -> None:
    """Before anything is split, so that whoever learned them in that order held out the same images."""
    settings = ImagesSettings(source="mnist")
    assert "classes" not in settings.model_dump()
    turned = settings.replace(classes=class_names(settings, mirrors[0])[::-1])
    sets = [open_splits(one, mirrors[0]) for one in (settings, turned)]

    def named(one: ImageSet) -> set[tuple[bytes, str]]:
        rows = zip(one.images, one.labels.tolist(), strict=True)
        return {(image.numpy().tobytes(), one.classes[label]) for image, label in rows}

    known = [[named(one) for one in splits] for splits in sets]
    assert sets[0].test.classes == sets[1].test.classes[::-1] == class_names(settings, mirrors[0])
    assert known[0][0] | known[0][1] == known[1][0] | known[1][1]
    assert known[0][2] == known[1][2]
    assert torch.equal(sets[0].test.labels, 1 - sets[1].test.labels)
    assert all(own.fingerprint != other.fingerprint for own, other in zip(*sets, strict=True))
    for wrong in (("0",), ("0", "0"), ("0", "2")):
        with pytest.raises(DataError, match="cannot be reordered by"):
            class_names(settings.replace(classes=wrong), mirrors[0])


def test_resolving_decodes_nothing(mirrors: list[Path], tmp_path: Path) -> None:
    resolve(ImagesSettings(source="mnist"), mirrors[0])
    assert not (tmp_path / "cache").exists()


def test_the_parts_are_those_of_load_and_split(mirrors: list[Path], tmp_path: Path) -> None:
    settings = ImagesSettings(source="mnist", size=6, validation_fraction=0.3, seed=7)
    parts = open_splits(resolve(settings, mirrors[0]), mirrors[0], tmp_path / "elsewhere")
    full, test = load("mnist", size=6, root=mirrors[0])
    train, validation = split(full, 0.3, seed=7)
    for part, expected in zip(parts, (train, validation, test), strict=True):
        assert torch.equal(part.images, expected.images)
        assert part.fingerprint == expected.fingerprint
        assert part.augmentation == Augmentation(crop=2)
    assert [len(part) for part in parts] == [14, 6, 4]
    assert (tmp_path / "elsewhere/images").is_dir()


def test_the_digits_are_the_default() -> None:
    settings = resolve(ImagesSettings())
    parts = open_splits(settings)
    assert [len(part) for part in parts] == [1294, 144, 359]
    assert ImagesSettings.model_validate_json(settings.model_dump_json()) == settings


def test_augmentation_may_be_set() -> None:
    settings = ImagesSettings.model_validate({"augmentation": {"flip": True, "crop": 3}})
    assert open_splits(settings).train.augmentation == Augmentation(flip=True, crop=3)


@pytest.mark.parametrize(
    "values",
    [
        {"source": ""},
        {"size": 0},
        {"test_fraction": 1.0},
        {"validation_fraction": 0.0},
        {"seed": -1},
        {"augmentation": {"crop": -1}},
        {"augmentation": {"mirror": True}},
        {"root": "data"},
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(RecipeError):
        ImagesSettings.model_validate(values)


def test_the_classes_are_those_of_the_images(mirrors: list[Path], tmp_path: Path) -> None:
    for settings in (ImagesSettings(source="digits"), resolve(ImagesSettings(source="mnist"), mirrors[0])):
        parts = open_splits(settings, mirrors[0], tmp_path / "elsewhere")
        assert class_names(settings, mirrors[0], tmp_path / "elsewhere") == parts.train.classes
    with pytest.raises(DataError):
        class_names(ImagesSettings(source=str(tmp_path / "nowhere")))
