from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgerift.errors import DataError, StoreError
from edgerift.images import ImageSet, load, save

LABELS = [0, 1] * 5


def write(path: str = "set.npz", **arrays: Any) -> str:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "layout",
    [
        lambda grey: grey,
        lambda grey: grey[..., None],
        lambda grey: grey[:, None],
        lambda grey: np.repeat(grey[..., None], 3, axis=3),
        lambda grey: np.repeat(grey[:, None], 3, axis=1),
        lambda grey: np.concatenate([np.repeat(grey[..., None], 3, axis=3), 255 - grey[..., None]], axis=3),
    ],
)
def test_all_layouts_become_the_same_set(
    layout: Callable[[np.ndarray], np.ndarray], pixels: Callable[..., Any]
) -> None:
    grey = pixels(10)[..., 0]
    train, test = load(write(images=layout(grey), labels=LABELS, test_images=layout(grey[:2]), test_labels=[1, 0]))
    expected = grey[:, None]
    np.testing.assert_array_equal(train.images.numpy(), expected)
    np.testing.assert_array_equal(test.images.numpy(), expected[:2])
    assert (train.labels.tolist(), test.labels.tolist()) == (LABELS, [1, 0])
    assert train.name == "set"


def test_channels_are_not_mixed_up(pixels: Callable[..., Any]) -> None:
    images = pixels(10)
    expected = images.transpose(0, 3, 1, 2)
    for layout in (images, expected):
        train = load(write(images=layout, labels=LABELS, test_images=layout, test_labels=LABELS)).train
        np.testing.assert_array_equal(train.images.numpy(), expected)


def test_without_test_images_it_is_split(pixels: Callable[..., Any]) -> None:
    write(images=pixels(10), labels=LABELS, groups=np.arange(10) // 2 * 7, classes=["x", "y"])
    train, test = load("set.npz", test_fraction=0.4)
    assert len(train) + len(test) == 10
    assert train.classes == ("x", "y")
    assert train.groups is not None
    assert test.groups is not None
    assert not set(train.groups.tolist()) & set(test.groups.tolist())


def test_saving_and_loading_changes_nothing(pixels: Callable[..., Any], tmp_path: Path) -> None:
    first = ImageSet(
        name="mine",
        images=torch.from_numpy(pixels(6).transpose(0, 3, 1, 2).copy()),
        labels=torch.tensor([0, 1, 2, 0, 1, 2]),
        classes=("a", "b", "c"),
        fingerprint="f",
        groups=torch.tensor([4, 4, 4, -2, -2, -2]),
    )
    second = first.select([5, 0])
    save(first, tmp_path / "mine.npz", test=second)
    for before, after in zip((first, second), load("mine.npz"), strict=True):
        assert torch.equal(before.images, after.images)
        assert torch.equal(before.labels, after.labels)
        assert before.groups is not None
        assert after.groups is not None
        assert torch.equal(before.groups, after.groups)
        assert after.classes == before.classes
    content = (tmp_path / "mine.npz").read_bytes()
    save(first, tmp_path / "mine.npz", test=second)
    assert content == (tmp_path / "mine.npz").read_bytes()


def test_saving_refuses_what_could_not_be_loaded(pixels: Callable[..., Any], tmp_path: Path) -> None:
    train, test = load(write(images=pixels(10), labels=LABELS))
    with pytest.raises(DataError, match=r"ends in \.npz"):
        save(train, tmp_path / "mine.npy")
    with pytest.raises(DataError, match="other classes"):
        save(train, tmp_path / "mine.npz", test=load("digits").test)
    with pytest.raises(StoreError):
        save(train, tmp_path / "nowhere/mine.npz", test=test)


IMAGES = np.zeros((4, 8, 8, 3), dtype=np.uint8)
FOUR = [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"labels": FOUR}, "no array images; it has labels"),
        ({"pictures": IMAGES}, "no array images and labels; it has pictures"),
        ({}, "it has none"),
        ({"images": IMAGES, "labels": FOUR, "test_images": IMAGES}, "no array test_labels"),
        ({"images": IMAGES, "labels": [0, 1, 0]}, "4 images and 3 labels; each image has one"),
        ({"images": IMAGES, "labels": FOUR, "groups": [1, 2]}, "4 images and 2 groups"),
        ({"images": IMAGES, "labels": FOUR, "groups": [1.0] * 4}, "groups of 'set.npz' are float64 [4]"),
        (
            {"images": IMAGES, "labels": FOUR, "test_images": IMAGES[:2], "test_labels": FOUR},
            "2 test_images and 4 test_labels",
        ),
        (
            {"images": IMAGES, "labels": [0.0] * 4},
            "labels of 'set.npz' are float64 [4]; they are whole numbers",
        ),
        ({"images": IMAGES, "labels": [[0]] * 4}, "int64 [4, 1]"),
        ({"images": IMAGES, "labels": [0, 1, -1, 0]}, "label -1 of image 2"),
        ({"images": IMAGES, "labels": [0, 1, 2, 0], "classes": ["a", "b"]}, "label 2 of image 2"),
        ({"images": IMAGES, "labels": np.array([0, 2**64 - 1, 0, 0], dtype=np.uint64)}, "out of range"),
        ({"images": IMAGES, "labels": FOUR, "classes": [1, 2]}, "classes of 'set.npz' are int64 [2]"),
        ({"images": IMAGES.astype(np.float32), "labels": FOUR}, "float32 [4, 8, 8, 3]; they are uint8"),
        ({"images": IMAGES[0, 0], "labels": FOUR}, "uint8 [8, 3]"),
        ({"images": np.zeros((4, 8, 8, 2), dtype=np.uint8), "labels": FOUR}, "[4, 8, 8, 2]; one of the"),
        ({"images": np.zeros((4, 3, 8, 3), dtype=np.uint8), "labels": FOUR}, "[4, 3, 8, 3]; one of the"),
        ({"images": IMAGES[:0], "labels": np.zeros(0, dtype=np.int64)}, "are none"),
        (
            {"images": IMAGES, "labels": FOUR, "test_images": IMAGES[:, :5, :5], "test_labels": FOUR},
            "training images of 1x8x8 and test images of 1x5x5 (channels x height x width); pass a size",
        ),
        ({"images": np.array([{}, {}, {}, {}]), "labels": FOUR}, "no whole .npz file of plain arrays"),
    ],
)
def test_faults_are_named(arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        load(write(**arrays))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 10, 500, -30])
def test_a_truncated_file_is_named(keep: int) -> None:
    path = Path(write(images=IMAGES, labels=FOUR))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"'set\.npz' is no whole \.npz file"):
        load("set.npz")


def test_a_damaged_file_is_named() -> None:
    path = Path(write(images=IMAGES, labels=FOUR))
    content = bytearray(path.read_bytes())
    content[300] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"'set\.npz' is no whole \.npz file"):
        load("set.npz")


def test_images_that_are_not_square_stay_what_they_are() -> None:
    coloured = np.arange(4 * 8 * 9 * 3).astype(np.uint8).reshape(4, 8, 9, 3)
    train, test = load(write(images=coloured, labels=FOUR), test_fraction=0.5)
    assert train.shape == test.shape == (3, 8, 9)
    assert train.notes == ()


def test_a_part_in_colour_makes_all_of_a_source_coloured() -> None:
    grey, coloured = np.full((4, 8, 8), 77, dtype=np.uint8), np.full((2, 8, 8, 3), (1, 2, 3), dtype=np.uint8)
    train, test = load(write(images=grey, labels=FOUR, test_images=coloured, test_labels=[0, 1]))
    assert train.shape == test.shape == (3, 8, 8)
    assert train.images.unique().tolist() == [77]


def test_sizes_that_are_not_square_are_scaled() -> None:
    train, test = load(write(images=np.full((4, 8, 9), 77, dtype=np.uint8), labels=FOUR), size=5, test_fraction=0.5)
    assert train.shape[1:] == test.shape[1:] == (5, 5)
    assert train.images.unique().tolist() == [77]
