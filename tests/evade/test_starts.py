import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from edgerift.evade import Attack
from edgerift.evade._starts import box, project, starts

PIXELS = st.lists(
    st.tuples(st.integers(0, 255), st.floats(-400, 700, width=32), st.floats(0, 1, width=32)), min_size=1, max_size=20
)
EPSILONS = st.integers(0, 255)


def image_of(pixels: list[tuple[int, float, float]]) -> Tensor:
    return torch.tensor([clean for clean, _, _ in pixels], dtype=torch.uint8)


@given(PIXELS, EPSILONS)
def test_the_box_is_epsilon_around_the_image_and_inside_the_range(pixels, epsilon: int) -> None:
    image = image_of(pixels)
    low, high = box(image, epsilon)
    assert low.tolist() == [max(0, value - epsilon) for value in image.tolist()]
    assert high.tolist() == [min(255, value + epsilon) for value in image.tolist()]


@given(PIXELS, EPSILONS)
def test_a_projection_is_the_nearest_whole_grey_level_in_the_box(pixels, epsilon: int) -> None:
    image = image_of(pixels)
    wanted = torch.tensor([value for _, value, _ in pixels])
    low, high = box(image, epsilon)
    found = project(wanted, low, high)
    assert found.dtype == torch.uint8
    for value, clean, projected in zip(wanted.tolist(), image.tolist(), found.tolist(), strict=True):
        levels = np.arange(max(0, clean - epsilon), min(255, clean + epsilon) + 1)
        assert projected in levels
        assert abs(projected - value) == np.abs(levels - value).min()


@given(PIXELS, EPSILONS)
def test_what_is_in_the_box_stays_and_what_is_outside_lands_on_its_side(pixels, epsilon: int) -> None:
    image = image_of(pixels)
    low, high = box(image, epsilon)
    inside = low + (torch.tensor([share for _, _, share in pixels]) * (high - low)).round()
    assert torch.equal(project(inside, low, high).float(), inside)
    assert torch.equal(project(high + 0.6, low, high).float(), high)
    assert torch.equal(project(low - 0.6, low, high).float(), low)


@given(PIXELS, EPSILONS)
def test_projecting_again_changes_nothing(pixels, epsilon: int) -> None:
    low, high = box(image_of(pixels), epsilon)
    once = project(torch.tensor([value for _, value, _ in pixels]), low, high)
    assert torch.equal(project(once.float(), low, high), once)


def test_a_clean_start_is_the_image_and_its_restarts_are_random() -> None:
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    placed = starts(images, [0, 1], Attack(start="clean"))
    assert torch.equal(placed[0], images[0].float())
    assert not torch.equal(placed[1], images[1].float())
    assert torch.equal(placed[1], starts(images[1:], [1], Attack(start="random"))[0])


@pytest.mark.parametrize("start", ["random", "random-sign"])
def test_a_start_depends_on_the_image_its_number_and_the_seed_alone(start: str) -> None:
    images = torch.randint(0, 256, (3, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    attack = Attack(start=start, seed=5)
    together = starts(images, [0, 1, 2], attack)
    backwards = starts(images.flip(0), [2, 1, 0], attack).flip(0)
    alone = torch.cat([starts(images[row : row + 1], [row], attack) for row in range(3)])
    assert torch.equal(together, backwards)
    assert torch.equal(together, alone)
    same = images[:1].expand(3, -1, -1, -1)
    offsets = [*(starts(same, [0, 1, 2], attack)), starts(same[:1], [0], attack.replace(seed=6))[0]]
    for first in range(4):
        for second in range(first):
            assert not torch.equal(offsets[first], offsets[second])


def test_a_random_start_is_uniform_over_the_whole_grey_levels_of_the_box() -> None:
    """Chi-square over 40,000 draws in boxes of 9 levels, and of 7 levels at an end of the range."""
    from scipy.stats import chisquare

    for value, levels in ((100, range(96, 105)), (2, range(7))):
        images = torch.full((1, 3, 120, 120), value, dtype=torch.uint8)
        placed = starts(images, [0], Attack(start="random", epsilon=4)).flatten().to(torch.int64)
        counts = torch.bincount(placed, minlength=256)
        assert counts.sum() == counts[list(levels)].sum() == 43_200
        assert chisquare(counts[list(levels)].numpy()).pvalue > 1e-3


def test_a_random_sign_start_is_half_the_epsilon_up_or_down() -> None:
    images = torch.full((1, 3, 50, 50), 100, dtype=torch.uint8)
    images[0, 0] = 1
    placed = starts(images, [0], Attack(start="random-sign", epsilon=8))
    assert set(placed[0, 0].unique().tolist()) == {0.0, 5.0}
    assert set(placed[0, 1:].unique().tolist()) == {96.0, 104.0}
    assert abs(float((placed[0, 1:] > 100).float().mean()) - 0.5) < 0.03


def test_no_start_touches_the_global_generator() -> None:
    before = torch.get_rng_state()
    starts(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), [0, 1], Attack(start="random"))
    assert torch.equal(torch.get_rng_state(), before)
