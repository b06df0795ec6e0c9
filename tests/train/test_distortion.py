"""Heavy augmentation: each part on its own against what it is by hand."""

import math

import pytest
import torch

from edgerift.train._distortion import _covered, _toned, distort, moved_by


def images(count: int = 4, height: int = 8, width: int = 8) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


def moved(given: torch.Tensor, **by: float) -> torch.Tensor:
    of = {"turn": 0.0, "scale": 1.0, "shear": 0.0, "right": 0.0, "down": 0.0, **by}
    return moved_by(given, *(torch.full((len(given),), value) for value in of.values()))


def test_at_strength_0_nothing_is_drawn() -> None:
    given, draws = images(), torch.Generator().manual_seed(3)
    assert distort(given, 0.0, draws) is given
    assert torch.equal(draws.get_state(), torch.Generator().manual_seed(3).get_state())


def test_a_quarter_turn_is_that_of_the_pixels() -> None:
    given = images()
    assert torch.allclose(moved(given, turn=math.pi / 2), given.rot90(1, (2, 3)), atol=1e-5)
    assert torch.allclose(moved(given, turn=math.pi), given.flip(2, 3), atol=1e-5)


def test_a_shift_by_whole_pixels_brings_black_in() -> None:
    given, expected = images(), torch.zeros(4, 3, 8, 8)
    expected[:, :, :, 2:] = given[:, :, :, :-2]
    assert torch.allclose(moved(given, right=0.25), expected, atol=1e-5)
    expected = torch.zeros(4, 3, 8, 8)
    expected[:, :, 1:] = given[:, :, :-1]
    assert torch.allclose(moved(given, down=0.125), expected, atol=1e-5)


def test_twice_as_large_shows_the_middle() -> None:
    checks = torch.zeros(1, 1, 8, 8)
    checks[:, :, 2:6, 2:6] = 1
    assert torch.allclose(moved(checks, scale=2.0)[:, :, 1:-1, 1:-1], torch.ones(1, 1, 6, 6))
    assert float(moved(checks, scale=0.5).sum()) == pytest.approx(4)


@pytest.mark.parametrize(("height", "width"), [(8, 16), (16, 8)])
def test_a_turn_keeps_angles_and_lengths_in_an_oblong_image(height: int, width: int) -> None:
    bar = torch.zeros(1, 1, height, width)
    bar[:, :, height // 2 - 1 : height // 2 + 1, width // 2 - 3 : width // 2 + 3] = 1
    upright = torch.zeros(1, 1, height, width)
    upright[:, :, height // 2 - 3 : height // 2 + 3, width // 2 - 1 : width // 2 + 1] = 1
    assert torch.allclose(moved(bar, turn=math.pi / 2), upright, atol=1e-5)


def test_brightness_and_contrast_are_affine_in_the_pixels() -> None:
    given = 0.4 + 0.1 * images()
    mean = given.mean((1, 2, 3), keepdim=True)
    one, half = torch.ones(4), torch.full((4,), 0.5)
    assert torch.allclose(_toned(given, one, one), given)
    assert torch.allclose(_toned(given, half, one), given / 2)
    assert torch.allclose(_toned(given, one, half), (given + mean) / 2)


def test_a_square_is_covered_with_the_mean() -> None:
    given, half = images(), torch.full((4,), 0.5)
    found = _covered(given, half, half, half)
    assert torch.equal(found[:, :, 0], given[:, :, 0])
    assert torch.allclose(found[:, :, 2:6, 2:6], given.mean((1, 2, 3), keepdim=True).expand(4, 3, 4, 4))
    assert int((found != given).sum()) == 4 * 3 * 16
    assert torch.equal(_covered(given, torch.zeros(4), half, half), given)


def test_each_image_has_a_distortion_of_its_own_and_stays_in_range() -> None:
    given = images(1).expand(64, 3, 8, 8)
    found = distort(given, 1.0, torch.Generator().manual_seed(0))
    assert len(found.unique(dim=0)) == 64
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    slight = distort(given, 0.01, torch.Generator().manual_seed(0))
    assert float((slight - given).abs().mean()) < 0.1 * float((found - given).abs().mean())
