import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgerift.images import Augmentation
from edgerift.train import augment


def windows(image: torch.Tensor, augmentation: Augmentation) -> list[torch.Tensor]:
    """List every image that may come out, by slicing, one after the other."""
    crop, size = augmentation.crop, image.shape[-1]
    padded = torch.zeros(3, size + 2 * crop, size + 2 * crop, dtype=torch.uint8)
    padded[:, crop : crop + size, crop : crop + size] = image
    places = range(2 * crop + 1)
    cut = [padded[:, top : top + size, left : left + size] for top in places for left in places]
    return [*cut, *(window.flip(2) for window in cut if augmentation.flip)]


@given(st.booleans(), st.integers(0, 3), st.integers(0, 2**31))
def test_each_image_becomes_one_of_its_own_windows(flip: bool, crop: int, seed: int) -> None:
    augmentation = Augmentation(flip, crop)
    images = torch.randint(1, 256, (5, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    made = augment(images, augmentation, torch.Generator().manual_seed(seed))
    assert made.dtype == torch.uint8
    for before, after in zip(images, made, strict=True):
        assert any(torch.equal(after, window) for window in windows(before, augmentation))


def test_every_window_comes_equally_often() -> None:
    augmentation = Augmentation(flip=True, crop=1)
    image = torch.arange(48, dtype=torch.uint8).reshape(3, 4, 4) + 1
    made = augment(image.expand(18_000, 3, 4, 4), augmentation, torch.Generator().manual_seed(1))
    counts = [int((made == window).all(dim=(1, 2, 3)).sum()) for window in windows(image, augmentation)]
    assert sum(counts) == 18_000
    assert len(counts) == 18
    assert all(850 < count < 1150 for count in counts)  # 1000 expected, five deviations of 31 on each side


def test_nothing_allowed_changes_and_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    images = torch.randint(0, 256, (4, 3, 5, 5), dtype=torch.uint8)
    assert augment(images, Augmentation(), generator) is images
    assert torch.equal(before, generator.get_state())


@pytest.mark.parametrize("augmentation", [Augmentation(flip=True), Augmentation(crop=4), Augmentation(True, 4)])
def test_same_generator_same_result_and_the_input_stays(augmentation: Augmentation) -> None:
    images = torch.randint(0, 256, (9, 3, 8, 8), dtype=torch.uint8)
    kept, state = images.clone(), torch.get_rng_state()
    first, second = (augment(images, augmentation, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(images, kept)
    assert torch.equal(state, torch.get_rng_state())
