"""Collages: every pixel comes from its place in one of two turned images, and the seed decides all."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from edgerift.errors import DataError
from edgerift.images import Augmentation, ImageSet, collages, load

SIZE = 8


def tagged(count: int = 5, size: int = SIZE) -> ImageSet:
    """Images whose pixels say which image (red), row (green) and column (blue) they come from."""
    images = torch.zeros(count, 3, size, size, dtype=torch.uint8)
    images[:, 0] = torch.arange(count, dtype=torch.uint8)[:, None, None]
    images[:, 1] = torch.arange(size, dtype=torch.uint8)[:, None]
    images[:, 2] = torch.arange(size, dtype=torch.uint8)
    labels = torch.arange(count) % 2
    return ImageSet("tagged", images, labels, ("a", "b"), "print", labels, Augmentation(flip=True, crop=2))


def turned(image: Tensor) -> list[Tensor]:
    """The eight ways to lay a square on itself, by hand."""
    straight = [image, image.flip(2), image.flip(1), image.flip(1).flip(2)]
    return [*straight, *(way.transpose(1, 2) for way in straight)]


def test_each_collage_is_two_turned_images_with_a_straight_cut() -> None:
    source = tagged()
    laid = {(number, way): whole for number in range(5) for way, whole in enumerate(turned(source.images[number]))}
    every = torch.stack(list(laid.values()))
    names = list(laid)
    found: set[tuple[bool, int, tuple[int, int], tuple[int, int]]] = set()
    for image in collages(source, 400, seed=3).images:
        same = (every == image).all(1)
        possible = [
            (upright, cut, first, second)
            for upright, lines in ((True, same.all(2)), (False, same.all(1)))
            for cut in range(SIZE // 4, SIZE - SIZE // 4 + 1)
            for first in lines[:, :cut].all(1).nonzero().flatten().tolist()
            for second in lines[:, cut:].all(1).nonzero().flatten().tolist()
        ]
        assert possible
        if len(possible) == 1:
            upright, cut, first, second = possible[0]
            found.add((upright, cut, names[first], names[second]))
    assert {entry[:2] for entry in found} == {(upright, cut) for upright in (True, False) for cut in range(2, 7)}
    assert len({(first[0], second[0]) for _, _, first, second in found}) == 25
    for place in (2, 3):
        assert {entry[place][1] for entry in found} == set(range(8))


def test_what_a_set_of_collages_says() -> None:
    source = tagged()
    made = collages(source, 30)
    assert (len(made), made.shape, made.images.dtype) == (30, (3, SIZE, SIZE), torch.uint8)
    assert (made.classes, made.labels.tolist(), made.groups) == (("collage",), [0] * 30, None)
    assert (made.name, made.augmentation) == ("tagged collages", source.augmentation)
    assert len(collages(source, 1)) == len(collages(source.select([2]), 1)) == 1
    assert len({image.numpy().tobytes() for image in collages(source, 1000).images}) > 900


def test_the_seed_decides_the_collages_and_the_fingerprint_names_them() -> None:
    source = tagged()
    first = collages(source, 40, seed=1)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    again = collages(source, 40, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.images, again.images)
    assert first.fingerprint == again.fingerprint
    assert not torch.equal(first.images, collages(source, 40, seed=2).images)
    others = [
        collages(source, 40, seed=2),
        collages(source, 41, seed=1),
        collages(source, 4, seed=1),
        collages(replace(source, fingerprint="other"), 40, seed=1),
        source,
    ]
    prints = {made.fingerprint for made in [first, *others]}
    assert len(prints) == 6


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_any_size_will_do(size: int) -> None:
    made = collages(tagged(size=size), 50)
    assert made.images.shape == (50, 3, size, size)
    assert set(made.images[:, 0].unique().tolist()) <= set(range(5))


def test_the_source_is_not_changed() -> None:
    source = load("digits", size=12).train
    before = source.images.clone()
    made = collages(source, 100)
    assert torch.equal(source.images, before)
    known = {image.numpy().tobytes() for image in source.images}
    assert sum(image.numpy().tobytes() in known for image in made.images) < 5


@pytest.mark.parametrize(("images", "count"), [(0, 5), (5, 0), (5, -1)])
def test_there_has_to_be_something_to_put_together(images: int, count: int) -> None:
    source = tagged().select(list(range(images)))
    with pytest.raises(DataError, match=f"{count} collages of the {images} images of 'tagged'"):
        collages(source, count)
