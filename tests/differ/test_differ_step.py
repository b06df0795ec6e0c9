"""One step of each constraint along a gradient that is known: that of two linear models."""

import pytest
import torch
from linear_pair import margin_model, pair_of

from edgerift.differ import DifferSettings, differ

SIZE = 6
PIXELS = 3 * SIZE * SIZE
STEP = 6


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(80, 170, (12, 3, SIZE, SIZE), generator=generator, dtype=torch.uint8)


def weights(seed, lowest, highest):
    return torch.randint(lowest, highest + 1, (PIXELS,), generator=torch.Generator().manual_seed(seed)).float()


def stepped(images, gradient, factor=1.0, **fields):
    """Take one step along `factor * gradient`: the original's score of the shared answer less the build's."""
    shared = weights(1, -4, 4)
    victim, steering = pair_of(margin_model(factor * (shared + gradient), 1e6), margin_model(factor * shared, 1e6))
    settings = DifferSettings(objective="deepxplore", epsilon=255, step=STEP, steps=1, **fields)
    found = differ(victim, images, settings, steering=steering)
    assert not (found.found | found.already).any()
    return found.images


def scaled(gradient, factor=1.0):
    """The gradient over its root mean square, which 1e-5 keeps from 0, in float64."""
    values = factor * gradient.double().reshape(3, SIZE, SIZE)
    return values / (values.square().mean().sqrt() + 1e-5)


@pytest.mark.parametrize("factor", [1.0, 1e-5])
def test_in_a_box_a_step_is_the_gradient_over_its_root_mean_square(images, factor):
    """A gradient as small as what keeps it finite moves about half as far."""
    gradient = weights(2, -5, 5)
    moved = stepped(images, gradient, factor)
    assert torch.equal(moved, (images.double() + STEP * scaled(gradient, factor)).round().to(torch.uint8))


def test_under_an_occlusion_the_whole_gradient_is_normalised_and_only_the_rectangle_moves(images):
    gradient = weights(2, 2, 9) * (2 * weights(3, 0, 1) - 1)
    moved = stepped(images, gradient, constraint="occlusion", rectangle=2)
    whole = (images.double() + STEP * scaled(gradient)).round().to(torch.uint8)
    assert (whole != images).all()
    places, other = set(), False
    for before, after, expected in zip(images, moved, whole, strict=True):
        changed = (after != before).any(0)
        top, left = changed.any(1).int().argmax(), changed.any(0).int().argmax()
        inside = torch.zeros(3, SIZE, SIZE, dtype=torch.bool)
        inside[:, top : top + 2, left : left + 2] = True
        assert torch.equal(after, torch.where(inside, expected, before))
        places.add((int(top), int(left)))
        alone = gradient.double().reshape(3, SIZE, SIZE)[inside]
        other |= not torch.equal(
            after[inside], (before[inside] + STEP * alone / alone.square().mean().sqrt()).round().to(torch.uint8)
        )
    assert len(places) > 1
    assert other


def test_a_blackout_lightens_nothing(images):
    """Squares are darkened where the mean gradient is negative, by the step."""
    fields = {"constraint": "blackout", "squares": 2, "square": 2}
    assert torch.equal(stepped(images, weights(2, 1, 5), **fields), images)
    darker = images.int() - stepped(images, -weights(2, 1, 5), **fields).int()
    assert set(darker.unique().tolist()) == {0, STEP}
