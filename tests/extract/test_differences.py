"""Finite differences against analytic gradients, independent formulas and what is really asked."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgerift.extract import Differences, estimate
from edgerift.extract import _recovery as recovery
from edgerift.extract._differences import sphere
from edgerift.extract._generator import squashed

SCHEMES: dict[str, dict[str, Any]] = {
    "forward": {"directions": 1},
    "forward-4": {"directions": 4},
    "central": {"directions": 1, "scheme": "central"},
    "central-3": {"directions": 3, "scheme": "central"},
    "antithetic": {"directions": 4, "antithetic": True},
    "split": {"directions": 1, "split": True},
    "split-antithetic": {"directions": 2, "split": True, "antithetic": True},
    "split-central": {"directions": 2, "split": True, "scheme": "central"},
}
QUERIES = dict(zip(SCHEMES, (2, 5, 2, 6, 5, 2, 3, 5), strict=True))
SHAPE = (3, 2, 1)
DIMENSIONS = 6


def drawing(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points_of(images: Tensor) -> Tensor:
    """Invert the tanh, as the victim and the clone of these tests do."""
    return torch.atanh(2 * images.double() - 1)


class Quadratic:
    """`x'Ax / 2 + b'x` of points `[N,...]` and its gradient `Ax + b`."""

    def __init__(self, seed: int) -> None:
        generator = np.random.default_rng(seed)
        half = generator.normal(size=(DIMENSIONS, DIMENSIONS))
        self.matrix, self.vector = half + half.T, generator.normal(size=DIMENSIONS)

    def value(self, points: Tensor) -> Tensor:
        flat = points.flatten(1).double()
        matrix, vector = torch.from_numpy(self.matrix), torch.from_numpy(self.vector)
        return ((flat @ matrix) * flat).sum(1) / 2 + flat @ vector

    def slope(self, point: np.ndarray) -> np.ndarray:
        slope: np.ndarray = self.matrix @ point + self.vector
        return slope


CLONE, VICTIM = Quadratic(1), Quadratic(2)
POINT = np.array([0.3, -0.5, 0.1, 0.8, -0.2, 0.4])


def clone(images: Tensor) -> Tensor:
    return CLONE.value(points_of(images))[:, None]


def ask(images: Tensor) -> Tensor:
    """Answer with a number whose logarithm is the quadratic."""
    return VICTIM.value(points_of(images)).exp()[:, None]


@pytest.fixture
def product(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the loss the clone's quadratic plus twice the victim's, in double precision up to the last step."""

    def loss(logits: Tensor, answers: Tensor) -> Tensor:
        return logits[:, 0] + 2 * answers[:, 0].log()

    monkeypatch.setitem(recovery.LOSSES, "l1", loss)


def many(count: int) -> Tensor:
    return torch.from_numpy(POINT).view(1, *SHAPE).repeat(count, 1, 1, 1)


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_the_mean_over_directions_is_the_gradient(scheme: str) -> None:
    """Forward differences of a quadratic are off by `e u'Au / 2`, which is the same for u and -u and so averages out.

    Epsilon is large, so that a wrong width or a missing end of a difference shows.
    """
    settings = Differences(epsilon=0.5, **SCHEMES[scheme])
    found = estimate(ask, clone, many(16_000), "l1", settings, drawing())
    gradients = found.gradient.flatten(1).double().numpy()
    expected = CLONE.slope(POINT) + 2 * VICTIM.slope(POINT)
    error = gradients.std(0, ddof=1) / math.sqrt(len(gradients))
    assert np.all(error < 0.05 * np.linalg.norm(expected)), "the test would see nothing"
    assert np.all(np.abs(gradients.mean(0) - expected) < 4 * error)


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize("epsilon", [0.01, 0.7])
@pytest.mark.parametrize("scheme", [name for name in SCHEMES if "split" not in name])
def test_an_estimate_is_the_formula(scheme: str, epsilon: float) -> None:
    settings = Differences(epsilon=epsilon, **SCHEMES[scheme])
    points = torch.randn(5, *SHAPE, generator=drawing(3), dtype=torch.float64) / 2
    found = estimate(ask, clone, points, "l1", settings, drawing(4)).gradient
    directions = sphere(points, settings.directions, drawing(4), antithetic=settings.antithetic).double()

    def loss(place: Tensor) -> Tensor:
        return CLONE.value(place) + 2 * VICTIM.value(place)

    expected = torch.zeros_like(points)
    for direction in directions:
        if settings.scheme == "central":
            slope = (loss(points + epsilon * direction) - loss(points - epsilon * direction)) / (2 * epsilon)
        else:
            slope = (loss(points + epsilon * direction) - loss(points)) / epsilon
        expected += DIMENSIONS * slope.view(-1, 1, 1, 1) * direction / len(directions)
    assert torch.allclose(found.double(), expected, rtol=1e-3, atol=2e-3 if epsilon < 0.1 else 1e-4)


@pytest.mark.usefixtures("product")
def test_antithetic_forward_differences_are_central_ones() -> None:
    points = torch.randn(9, *SHAPE, generator=drawing(1), dtype=torch.float64) / 2
    pairs = Differences(epsilon=0.3, directions=6, antithetic=True)
    central = Differences(epsilon=0.3, directions=3, scheme="central")
    first, second = (estimate(ask, clone, points, "l1", settings, drawing(2)) for settings in (pairs, central))
    assert torch.allclose(first.gradient, second.gradient, rtol=1e-4, atol=1e-4)


class Network(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 4))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(4 * images)
        return logits


def true_gradient(loss: recovery.Loss, victim: nn.Module, thief: nn.Module, points: Tensor) -> Tensor:
    place = points.clone().requires_grad_()
    losses = recovery.LOSSES[loss](thief(squashed(place)), victim(squashed(place)).softmax(1))
    (gradient,) = torch.autograd.grad(losses.sum(), place)
    return gradient


@pytest.mark.parametrize("loss", ["l1", "kl"])
def test_split_is_autograd_through_the_clone_when_the_victim_is_constant(loss: recovery.Loss) -> None:
    thief = Network(0)
    points = torch.randn(6, 3, 2, 2, generator=drawing())
    answers = torch.tensor([0.5, 0.3, 0.15, 0.05])

    def constant(images: Tensor) -> Tensor:
        return answers.repeat(len(images), 1)

    place = points.clone().requires_grad_()
    recovery.LOSSES[loss](thief(squashed(place)), constant(place)).sum().backward()
    assert place.grad is not None
    for scheme in ("split", "split-antithetic", "split-central"):
        found, again = (
            estimate(constant, thief, points, loss, Differences(**SCHEMES[scheme]), drawing(seed)) for seed in (0, 1)
        )
        assert torch.equal(found.gradient, again.gradient)
        assert torch.allclose(found.gradient, place.grad, rtol=1e-5, atol=1e-8)
        assert found.zero_share == 1
    assert place.grad.abs().max() > 1e-3


@pytest.mark.parametrize("loss", ["l1", "kl"])
@pytest.mark.parametrize("scheme", ["forward", "central", "split", "split-central"])
def test_many_small_differences_add_up_to_the_true_gradient(loss: recovery.Loss, scheme: str) -> None:
    victim, thief = Network(1), Network(2)
    points = torch.randn(4, 3, 2, 2, generator=drawing(5))
    settings = Differences(epsilon=0.02, **{**SCHEMES[scheme], "directions": 4000})
    found = estimate(lambda images: victim(images).softmax(1), thief, points, loss, settings, drawing(6)).gradient
    expected = true_gradient(loss, victim, thief, points)
    ratio = found.flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)
    assert torch.cosine_similarity(found.flatten(1), expected.flatten(1)).min() > 0.99
    assert (ratio - 1).abs().max() < 0.1


def test_split_has_less_noise_than_differences_of_the_loss() -> None:
    """The clone's half of the gradient is exact, so what is left is the victim's half."""
    victim, thief = Network(1), Network(2)
    points = torch.randn(200, 3, 2, 2, generator=drawing(5))
    expected = true_gradient("kl", victim, thief, points)
    errors = []
    for split in (False, True):
        settings = Differences(epsilon=0.02, directions=2, split=split)
        found = estimate(lambda images: (victim(images) / 4).softmax(1), thief, points, "kl", settings, drawing(6))
        errors.append(float((found.gradient - expected).square().sum()))
    assert errors[1] < errors[0]


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_queries_are_what_is_asked_about(scheme: str) -> None:
    settings = Differences(epsilon=0.1, **SCHEMES[scheme])
    assert settings.queries == QUERIES[scheme]
    victim, thief = Network(1), Network(2)
    points = torch.randn(7, 3, 2, 2, generator=drawing())
    asked: list[Tensor] = []

    def count(images: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        assert not images.requires_grad
        asked.append(images)
        return victim(images).softmax(1)

    found = estimate(count, thief, points, "kl", settings, drawing())
    assert [len(images) for images in asked] == [7 * QUERIES[scheme]]
    assert asked[0].dtype == torch.float32
    assert 0 <= asked[0].min() <= asked[0].max() <= 1
    if settings.needs_middle:
        assert found.answers is not None
        assert torch.equal(asked[0][:7], squashed(points))
        assert torch.allclose(found.answers, victim(squashed(points)).softmax(1), atol=1e-6)
    else:
        assert found.answers is None
    ends = points_of(asked[0].double()).float().view(-1, *points.shape)
    distances = (ends - points).flatten(2).norm(dim=2)
    assert torch.allclose(distances[settings.needs_middle :], torch.tensor(0.1), atol=1e-4)


@pytest.mark.parametrize("scheme", list(SCHEMES))
def test_nothing_is_left_behind_on_the_networks(scheme: str) -> None:
    victim, thief = Network(1), Network(2)
    made = torch.randn(3, 3, 2, 2, generator=drawing()).requires_grad_()
    points = made * 1.0
    settings = Differences(epsilon=0.1, **SCHEMES[scheme])
    found = estimate(lambda images: victim(images).softmax(1), thief, points, "l1", settings, drawing())
    assert not found.gradient.requires_grad
    assert not found.zero_share.requires_grad
    assert found.answers is None or not found.answers.requires_grad
    for network in (victim, thief):
        assert all(parameter.grad is None for parameter in network.parameters())
    assert made.grad is None
    assert points.grad_fn is not None


@pytest.mark.parametrize("scheme", ["forward-4", "antithetic", "central-3", "split", "split-central"])
def test_zero_share_on_a_staircase(scheme: str) -> None:
    """The answers are a staircase along the first coordinate: a difference is zero when both ends lie on one step."""
    step, settings = 0.25, Differences(epsilon=0.2, **SCHEMES[scheme])
    points = torch.rand(300, *SHAPE, generator=drawing(8), dtype=torch.float64)

    def stairs(place: Tensor) -> Tensor:
        return (place.flatten(1)[:, 0] / step).floor()

    def staircase(images: Tensor) -> Tensor:
        return (stairs(points_of(images))[:, None] * torch.tensor([[0.1, 0.0, -0.2]])).softmax(1)

    found = estimate(staircase, lambda images: 0 * images.flatten(1)[:, :3], points, "kl", settings, drawing(9))
    directions = sphere(points, settings.directions, drawing(9), antithetic=settings.antithetic).double()
    same = []
    for direction in directions:
        start = points - 0.2 * direction if settings.scheme == "central" else points
        same.append(stairs(start) == stairs(points + 0.2 * direction))
    share = torch.stack(same).double().mean().item()
    assert 0.2 < share < 0.9
    assert found.zero_share.item() == pytest.approx(share, abs=1e-6)


def test_zero_share_in_one_dimension_has_a_closed_form() -> None:
    """Steps of 1, differences of 0.25 along a line: one in four leaves its step."""
    points = ((torch.arange(1000, dtype=torch.float64) + 0.5) / 1000).view(-1, 1, 1, 1)

    def staircase(images: Tensor) -> Tensor:
        return torch.stack([points_of(images)[:, 0].flatten().floor(), torch.zeros(len(images))], 1).softmax(1)

    settings = Differences(epsilon=0.25, directions=2, antithetic=True)
    found = estimate(staircase, lambda images: torch.zeros(len(images), 2), points, "kl", settings, drawing())
    assert found.zero_share.item() == pytest.approx(0.75)


def test_one_class_that_moves_is_a_difference() -> None:
    def one_of_three(images: Tensor) -> Tensor:
        return torch.stack([torch.full((len(images),), 0.5), images.flatten(1)[:, 0], torch.zeros(len(images))], 1)

    points = torch.zeros(20, 3, 2, 2)
    found = estimate(
        one_of_three, lambda images: torch.zeros(len(images), 3), points, "kl", Differences(epsilon=0.1), drawing()
    )
    assert found.zero_share == 0


@pytest.mark.parametrize("shape", [(3, 2, 2), (1, 1, 3)])
def test_directions_are_uniform_on_the_unit_sphere(shape: tuple[int, ...]) -> None:
    drawn = sphere(torch.zeros(2000, *shape), 3, drawing())
    assert drawn.shape == (3, 2000, *shape)
    flat = drawn.flatten(2).flatten(0, 1).double()
    assert torch.allclose(flat.norm(dim=1), torch.tensor(1.0, dtype=torch.float64), atol=1e-6)
    dimensions = flat.shape[1]
    assert flat.mean(0).abs().max() < 4.5 / math.sqrt(dimensions * len(flat))
    assert torch.allclose(flat.T @ flat / len(flat) * dimensions, torch.eye(dimensions).double(), atol=0.08)
    # In three dimensions each coordinate is uniform, as Archimedes found.
    if dimensions == 3:
        tenths = torch.histc(flat[:, 0].float(), 10, -1, 1)
        assert (tenths - 600).abs().max() < 4.5 * math.sqrt(600 * 0.9)


def test_antithetic_directions_come_with_their_opposites() -> None:
    points = torch.zeros(5, 3, 2, 2)
    drawn = sphere(points, 6, drawing(), antithetic=True)
    assert drawn.shape == (6, 5, 3, 2, 2)
    assert torch.equal(drawn[:3], -drawn[3:])
    assert torch.equal(drawn[:3], sphere(points, 3, drawing()))


def test_the_same_seed_gives_the_same_estimate() -> None:
    victim, thief = Network(1), Network(2)
    points = torch.randn(3, 3, 2, 2, generator=drawing())
    found = [
        estimate(lambda images: victim(images).softmax(1), thief, points, "l1", Differences(), drawing(seed)).gradient
        for seed in (0, 0, 1)
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
