"""Grey images stay grey under attack: what moves is the one grey level that a camera records."""

import io

import pytest
import torch
from linear_pair import StandInBuild, image_set, margin_model, pair_of
from PIL import Image
from torch import Tensor

from edgerift.evade import Attack, Margin, Pair, png_bytes, presets, random_search, read_png, search
from edgerift.images import is_grey

SIDE = 4
PIXELS = SIDE * SIDE
DRAWS = torch.Generator().manual_seed(5)
GREY = torch.randint(60, 200, (6, 1, SIDE, SIDE), generator=DRAWS, dtype=torch.uint8).repeat(1, 3, 1, 1)
COLOURED = torch.randint(60, 200, (6, 3, SIDE, SIDE), generator=DRAWS, dtype=torch.uint8)


def by_channel(*weights: int) -> Tensor:
    """Give all pixels of a channel one weight: `[3 * PIXELS]`."""
    return torch.tensor(weights).repeat_interleave(PIXELS)


@pytest.mark.parametrize("name", presets())
def test_every_attack_keeps_grey_images_grey_and_inside_their_box(name):
    pair, steering = pair_of(margin_model(by_channel(2, -1, 1), 4000.5), margin_model(by_channel(1, 3, -2), 900.5))
    attack = presets(5, 6)[name]
    again = attack if attack.ensemble is not None or attack.rule == "square" else attack.replace(restarts=2)
    found = search(pair, image_set(GREY), again, steering=steering)
    for images in (found.images, found.last):
        assert is_grey(images)
        assert int((images.int() - found.clean.int()).abs().max()) <= 5
    assert bool((found.last != found.clean).any())


@pytest.mark.parametrize(("images", "count"), [(GREY, 0), (COLOURED, 6)], ids=["grey", "colour"])
def test_what_only_colour_evades_is_found_in_colour_alone(images, count):
    differences = images.float().mean((2, 3))
    lead = (3 * (differences[:, 0] - differences[:, 1])).abs().max() * PIXELS
    # Both models look at differences between channels alone: no grey image moves them.
    original, build = margin_model(by_channel(1, 0, -1), 90_000.5), margin_model(by_channel(3, -3, 0), float(lead) + 10)
    pair, steering = pair_of(original, build)
    found = search(pair, image_set(images), "default", epsilon=250, steps=60, steering=steering)
    assert int(found.evasive.sum()) == count


def test_a_grey_image_moves_along_the_sum_of_its_channels_slopes():
    weights = torch.randint(-9, 10, (3, PIXELS), generator=torch.Generator().manual_seed(2))
    build = margin_model(weights.flatten(), 90_000.5)
    pair, steering = pair_of(margin_model(by_channel(1, 1, 1), 90_000.5), build)
    attack = Attack(objective=Margin(), epsilon=3, step=1, steps=1, stop="never")
    found = search(pair, image_set(GREY), attack, steering=steering)
    moves = found.last.int() - found.clean.int()
    assert torch.equal(moves[:, 0].flatten(1), -weights.sum(0).sign().expand(len(GREY), -1).int())


@pytest.mark.parametrize(("images", "hits"), [(GREY, 0), (COLOURED, 6)], ids=["grey", "colour"])
def test_a_random_search_keeps_grey_images_grey(images, hits):
    # This build answers class 1 to grey images alone.
    build = StandInBuild(lambda asked: torch.eye(2)[has_equal_channels(asked)])
    pair = Pair(margin_model(by_channel(0, 0, 0), 1.5), None, build)
    labels = torch.ones(len(images), dtype=torch.int64)
    found = random_search(pair, image_set(images).images, labels, Attack(epsilon=4, steps=3))
    assert int(found.sum()) == hits


def has_equal_channels(images: Tensor) -> Tensor:
    """Tell which images have equal channels, int64 `[N]`."""
    return (images == images[:, :1]).flatten(1).all(1).long()


def test_the_image_set_decides_what_is_grey_not_the_image():
    mixed = image_set(torch.cat([GREY, COLOURED]))
    only_grey = mixed.select(range(len(GREY)))
    assert is_grey(only_grey.images)
    assert not only_grey.grey
    model = margin_model(by_channel(3, 1, -2), 90_000.5)
    pair, steering = pair_of(model, model)
    found = search(pair, only_grey, Attack(objective=Margin(), epsilon=3, steps=1, stop="never"), steering=steering)
    assert not is_grey(found.last)


@pytest.mark.parametrize(("images", "mode"), [(GREY, "L"), (COLOURED, "RGB")], ids=["grey", "colour"])
def test_a_grey_image_is_a_greyscale_png_file(images, mode):
    image = image_set(images).images[0]
    content = png_bytes(image)
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.mode == mode
    assert torch.equal(read_png(content), image)
