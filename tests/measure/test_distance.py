import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgerift.errors import InputError
from edgerift.measure import l2_distance, linf_distance, ssim

MEASURES = (ssim, l2_distance, linf_distance)
images = arrays.arrays("uint8", (2, 1, 5, 6)).map(torch.from_numpy)


def random_images(*shape, seed=0):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def constant(level, shape=(1, 3, 12, 12)):
    return torch.full(shape, level, dtype=torch.uint8)


def reference(first, second):
    """SSIM of two images [C,H,W], window by window."""
    extents = [min(11, size if size % 2 else size - 1) for size in first.shape[1:]]
    rows, columns = (np.arange(extent) - extent // 2 for extent in extents)
    weights = np.exp(-(rows[:, None] ** 2 + columns[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    values = []
    for one, two in zip(first.astype(float), second.astype(float), strict=True):
        for top in range(one.shape[0] - extents[0] + 1):
            for left in range(one.shape[1] - extents[1] + 1):
                place = slice(top, top + extents[0]), slice(left, left + extents[1])
                a, b = one[place], two[place]
                mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
                variance_a, variance_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
                covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
                luminance = (2 * mean_a * mean_b + 2.55**2) / (mean_a**2 + mean_b**2 + 2.55**2)
                structure = (2 * covariance + 7.65**2) / (variance_a + variance_b + 7.65**2)
                values.append(luminance * structure)
    return np.mean(values)


@pytest.mark.parametrize("shape", [(3, 13, 16), (1, 11, 11), (3, 8, 8), (1, 12, 4), (2, 1, 1), (1, 2, 14)])
def test_ssim_against_a_loop_over_windows(shape):
    first, second = random_images(3, *shape), random_images(3, *shape, seed=1)
    second[1] = (first[1].int() + torch.randint(-8, 9, shape)).clamp(0, 255).to(torch.uint8)
    expected = [reference(one.numpy(), two.numpy()) for one, two in zip(first, second, strict=True)]
    assert ssim(first, second).tolist() == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize(("first", "second"), [(0, 255), (100, 108), (7, 7)])
def test_ssim_of_constant_images_is_their_luminance_alone(first, second):
    expected = (2 * first * second + 2.55**2) / (first**2 + second**2 + 2.55**2)
    assert ssim(constant(first), constant(second)).tolist() == pytest.approx([expected], abs=1e-9)


def test_ssim_of_an_image_and_its_negative_is_negative():
    image = random_images(1, 3, 16, 16)
    assert ssim(image, 255 - image) < 0


def test_distances_by_hand():
    first, second = constant(10, (2, 1, 1, 3)), constant(10, (2, 1, 1, 3))
    second[0, 0, 0] = torch.tensor([13, 10, 6])
    second[1, 0, 0] = torch.tensor([255, 0, 10])
    assert l2_distance(first, second).tolist() == pytest.approx([5.0, (245**2 + 100) ** 0.5])
    assert linf_distance(first, second).tolist() == [4, 245]
    assert linf_distance(first, second).dtype == torch.int64


@given(images, images)
def test_the_order_does_not_count_and_equal_images_are_nearest(first, second):
    assert all(torch.equal(measure(first, second), measure(second, first)) for measure in MEASURES)
    assert torch.allclose(ssim(first, first), torch.ones(2, dtype=torch.float64), atol=1e-12)
    assert not l2_distance(first, first).any()
    similarity = ssim(first, second)
    assert bool(((similarity >= -1 - 1e-9) & (similarity <= 1 + 1e-9)).all())
    largest = linf_distance(first, second).double()
    assert bool((l2_distance(first, second) >= largest - 1e-9).all())
    assert bool((l2_distance(first, second) <= largest * 30**0.5 + 1e-9).all())


@given(st.integers(0, 4))
def test_each_image_is_measured_alone(count):
    first, second = random_images(4, 3, 9, 9), random_images(4, 3, 9, 9, seed=1)
    for measure in MEASURES:
        whole = measure(first, second)
        assert whole.shape == (4,)
        assert torch.allclose(measure(first[:count], second[:count]), whole[:count], rtol=1e-12)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (constant(1).float(), constant(1), r"images of type float32 and shape \[1, 3, 12, 12\]; needed: uint8"),
        (constant(1), constant(1)[0], r"images of type uint8 and shape \[3, 12, 12\]; needed: uint8 \[N, C, H, W\]"),
        (constant(1), constant(1, (1, 3, 12, 13)), r"\[1, 3, 12, 12\] and \[1, 3, 12, 13\] cannot be compared"),
        (constant(1, (1, 3, 0, 4)), constant(1, (1, 3, 0, 4)), r"shape \[1, 3, 0, 4\]"),
    ],
)
def test_images_that_cannot_be_compared(measure, first, second, message):
    with pytest.raises(InputError, match=message):
        measure(first, second)
