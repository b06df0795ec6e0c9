from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch

from edgerift.errors import DataError
from edgerift.images import Augmentation, load
from edgerift.images._digits import Digits


def test_digits_are_the_ones_of_scikit_learn() -> None:
    levels, labels = sklearn.datasets.load_digits(return_X_y=True)
    grey = (torch.tensor(levels).reshape(-1, 1, 8, 8) * 255 / 16).round()
    exact = torch.nn.functional.interpolate(grey, (32, 32), mode="bilinear")
    part = Digits().read("", None, Path()).parts["train"]
    assert part.images.shape == (1797, 1, 32, 32)
    assert (part.images.min(), part.images.max()) == (0, 255)
    assert np.abs(part.images - exact.numpy()).max() <= 1.01
    assert part.labels.tolist() == labels.tolist()


def test_digits_are_split_and_neither_mirrored_nor_far_moved() -> None:
    train, test = load("digits", test_fraction=0.25, seed=4)
    assert (len(train), len(test)) == (1348, 449)
    assert train.augmentation == Augmentation(flip=False, crop=2)
    assert train.classes == tuple("0123456789")
    shares = test.labels.bincount() / (train.labels.bincount() + test.labels.bincount())
    assert (shares - 0.25).abs().max() < 0.01
    assert torch.equal(test.images, load("digits", test_fraction=0.25, seed=4).test.images)
    assert not torch.equal(test.images, load("digits", test_fraction=0.25, seed=5).test.images)
    assert load("digits", seed=4).train.fingerprint != load("digits", seed=5).train.fingerprint


def test_digits_come_in_any_size() -> None:
    small = load("digits", size=8).train
    assert small.shape == (1, 8, 8)
    assert torch.equal(small.images, load("digits").train.resized(8).images)
    assert small.notes == ()  # They are scaled at any size.
    assert load("digits").train.resized(8).notes == (
        "the images of 'digits' are resized from 32x32 to 8x8 pixels (height x width)",
    )
    assert load("digits", size=(12, 20)).train.shape == (1, 12, 20)


def test_the_user_may_say_what_leaves_the_labels_true() -> None:
    train, test = load("digits", augmentation=Augmentation(flip=True, crop=1))
    assert train.augmentation == test.augmentation == Augmentation(flip=True, crop=1)


@pytest.mark.parametrize("size", [0, -1, 5000])
def test_sizes_out_of_range_are_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"image size is {size}"):
        load("digits", size=size)


@pytest.mark.parametrize("fraction", [0, 1, 1e-9])
def test_an_empty_side_is_refused(fraction: float) -> None:
    with pytest.raises(DataError):
        load("digits", test_fraction=fraction)
