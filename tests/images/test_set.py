from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from edgerift.errors import DataError
from edgerift.images import Augmentation, ImageSet, collages, is_grey, split, to_float


def make(count: int = 6, size: int = 4, **changes: Any) -> ImageSet:
    images = torch.arange(count * 3 * size * size).remainder(256).to(torch.uint8).reshape(count, 3, size, size)
    fields: dict[str, Any] = {
        "name": "small",
        "images": images,
        "labels": torch.arange(count) % 2,
        "classes": ("cat", "dog"),
        "fingerprint": "f",
        "groups": torch.arange(count) // 2,
    }
    return ImageSet(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": torch.zeros(6, 3, 4, 4)}, "torch.float32"),
        ({"images": torch.zeros(6, 2, 4, 4, dtype=torch.uint8)}, "[6, 2, 4, 4]"),
        ({"images": torch.zeros(6, 4, 4, 4, dtype=torch.uint8)}, "[6, 4, 4, 4]"),
        ({"images": torch.zeros(6, 3, 0, 0, dtype=torch.uint8)}, "[6, 3, 0, 0]"),
        ({"images": torch.zeros(3, 4, 4, dtype=torch.uint8)}, "[3, 4, 4]"),
        ({"labels": torch.zeros(5, dtype=torch.int64)}, "labels of 'small' are torch.int64 [5]"),
        ({"labels": torch.zeros(6, dtype=torch.int32)}, "torch.int32"),
        ({"labels": torch.tensor([0, 1, 2, 0, 0, 0])}, "label 2 of image 2"),
        ({"labels": torch.tensor([0, 1, 1, 0, -1, 0])}, "label -1 of image 4"),
        ({"groups": torch.zeros(5, dtype=torch.int64)}, "groups of 'small'"),
        ({"classes": ()}, "no classes"),
    ],
)
def test_broken_invariants_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError) as caught:
        make(**changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_shows_its_numbers_and_not_its_pixels() -> None:
    assert repr(make()) == "ImageSet('small', 6 of 3x4x4, 2 classes)"
    assert (len(make()), make().shape) == (6, (3, 4, 4))


@pytest.mark.parametrize("indices", [[4, 1], torch.tensor([4, 1]), torch.tensor([4, 1], dtype=torch.int32)])
def test_select_takes_images_labels_and_groups_in_the_order_asked(indices: Any) -> None:
    whole = make()
    part = whole.select(indices)
    assert torch.equal(part.images, whole.images[[4, 1]])
    assert part.labels.tolist() == [0, 1]
    assert part.groups is not None
    assert part.groups.tolist() == [2, 0]


def test_a_mask_selects_what_its_indices_select() -> None:
    by_mask = make().select(torch.tensor([False, True, False, False, True, False]))
    by_index = make().select([1, 4])
    assert torch.equal(by_mask.images, by_index.images)
    assert by_mask.fingerprint == by_index.fingerprint


def test_nothing_can_be_selected() -> None:
    assert len(make().select([])) == 0
    assert list(make().select([]).batches(2)) == []
    assert make().select([]).resized(8).shape == (3, 8, 8)


@pytest.mark.parametrize("indices", [[6], [-1], torch.tensor([True]), [0.5], [[0, 1]]])
def test_select_refuses_what_is_no_index(indices: Any) -> None:
    with pytest.raises(DataError):
        make().select(indices)


def test_fingerprints_name_the_content() -> None:
    whole = make()
    different: list[Callable[[], ImageSet]] = [
        lambda: whole,
        lambda: whole.select([0, 1]),
        lambda: whole.select([1, 0]),
        lambda: whole.resized(8),
        lambda: whole.resized(2),
        lambda: whole.select([0, 1]).resized(8),
        lambda: make(fingerprint="g").select([0, 1]),
    ]
    names = [one().fingerprint for one in different]
    assert len(set(names)) == len(names)
    assert names == [one().fingerprint for one in different]


def test_batches_are_the_set_in_order() -> None:
    whole = make(count=7)
    batches = list(whole.batches(3))
    assert [len(images) for images, _ in batches] == [3, 3, 1]
    assert torch.equal(torch.cat([images for images, _ in batches]), whole.images)
    assert torch.equal(torch.cat([labels for _, labels in batches]), whole.labels)


@pytest.mark.parametrize(
    "use",
    [lambda: next(make().batches(0)), lambda: make().resized(0), lambda: Augmentation(crop=-1)],
)
def test_sizes_are_positive(use: Callable[[], object]) -> None:
    with pytest.raises(DataError):
        use()


def test_resizing_agrees_with_torch_to_one_grey_level() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 12, 12), generator=generator, dtype=torch.uint8)
    whole = make(images=images, labels=torch.zeros(4, dtype=torch.int64), groups=None)
    for size in (5, 6, 19, 24):
        exact: Tensor = torch.nn.functional.interpolate(images.double(), (size, size), mode="bilinear", antialias=True)
        assert (whole.resized(size).images.double() - exact).abs().max() <= 1.01


def test_resizing_to_the_same_size_is_nothing() -> None:
    whole = make()
    assert whole.resized(4) is whole


def test_grey_levels_survive_the_way_to_floats_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    floats = to_float(levels)
    assert floats.dtype == torch.float32
    assert (floats.min(), floats.max()) == (0, 1)
    assert torch.equal((floats * 255).round().to(torch.uint8), levels)
    with pytest.raises(DataError, match=r"torch\.float32"):
        to_float(floats)


GREY = torch.arange(48, dtype=torch.uint8).view(3, 1, 4, 4).repeat(1, 3, 1, 1)
ONE_COLOURED_PIXEL = GREY.clone()
ONE_COLOURED_PIXEL[2, 1, 3, 3] += 1


@pytest.mark.parametrize(
    ("images", "grey"),
    [(GREY, True), (GREY[:, :1], True), (ONE_COLOURED_PIXEL, False), (GREY[:0], False)],
    ids=["equal channels", "one channel", "one other pixel", "no image"],
)
def test_images_with_equal_channels_are_grey(images, grey):
    assert is_grey(images) is grey


@pytest.mark.parametrize("images", [GREY, ONE_COLOURED_PIXEL], ids=["grey", "colour"])
@pytest.mark.parametrize(
    "change",
    [
        lambda of: of.select([0]),
        lambda of: of.select(torch.tensor([True, False, False])),
        lambda of: of.resized(8),
        lambda of: collages(of, 5),
        lambda of: split(of, 0.34)[1],
    ],
    ids=["select", "mask", "resized", "collages", "split"],
)
def test_what_is_made_of_a_set_is_grey_where_the_set_is(images, change):
    made = ImageSet("made", images, torch.zeros(3, dtype=torch.int64), ("only",), "made")
    assert change(made).grey is made.grey is (images is GREY)


def test_a_source_may_say_that_grey_images_are_of_a_colour_set():
    said = ImageSet("made", GREY, torch.zeros(3, dtype=torch.int64), ("only",), "made", in_colour=True)
    assert (said.grey, said.shape.channels) == (False, 3)


def test_grey_images_have_one_channel():
    made = ImageSet("made", GREY, torch.zeros(3, dtype=torch.int64), ("only",), "made")
    assert made.shape.channels == 1
    assert torch.equal(made.images, GREY[:, :1])
