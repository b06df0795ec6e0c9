"""The masking diagnostics on victims whose grid is known."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgerift import zoo
from edgerift.extract import Differences, Generator, Masking, Oracle, masking
from edgerift.extract import _masking as masking_module
from edgerift.extract._differences import sphere
from edgerift.extract._generator import squashed
from edgerift.extract._recovery import LOSSES, Loss


class Network(nn.Module):
    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(48, 16), nn.Tanh(), nn.Linear(16, 4))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(4 * images)
        return logits


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(6, 4, width=4)


VICTIM, CLONE = Network(1).double(), Network(2)


def smooth(images: Tensor) -> Tensor:
    """Answer in double precision, so that only the step of a difference is to blame."""
    with torch.no_grad():
        return VICTIM(images.double()).softmax(1)


class Single(nn.Module):
    """The victim for images in single precision."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = VICTIM

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images.double())
        return logits


def look(
    generator: Generator,
    answer: object,
    *,
    epsilon: float,
    loss: Loss = "kl",
    points: int = 128,
    seed: int = 0,
    **fields: Any,
) -> Masking:
    return masking(
        answer,  # type: ignore[arg-type]
        Single(),
        CLONE,
        generator,
        differences=Differences(epsilon=epsilon, **fields),
        loss=loss,
        latent=6,
        points=points,
        seed=seed,
    )


@pytest.mark.parametrize("loss", ["l1", "kl"])
def test_a_smooth_victim_is_not_masked(generator: Generator, loss: Loss) -> None:
    found = look(generator, smooth, epsilon=1e-2, loss=loss)
    assert (found.epsilon, found.points, found.zero_share) == (1e-2, 128, 0)
    assert found.correlation is not None
    assert found.ratio is not None
    assert found.correlation > 0.999
    assert abs(found.ratio - 1) < 0.01


def test_few_points_are_looked_at_together(generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slope keeps all that the victim computes, so that many points at once would fill the memory."""
    sizes = []

    def noting(images: Tensor) -> Tensor:
        sizes.append(len(images))
        return smooth(images)

    whole = look(generator, noting, epsilon=1e-2, points=60)
    monkeypatch.setattr(masking_module, "_TOGETHER", 25)
    parts = look(generator, noting, epsilon=1e-2, points=60)
    assert sizes == [60, 60, 25, 25, 25, 25, 10, 10]
    assert parts.model_dump() == pytest.approx(whole.model_dump(), rel=1e-4)


def test_a_wide_difference_says_less_than_a_narrow_one(generator: Generator) -> None:
    narrow, wide = (look(generator, smooth, epsilon=epsilon).correlation for epsilon in (0.1, 20.0))
    assert narrow is not None
    assert wide is not None
    assert wide < narrow


@pytest.mark.parametrize("fields", [{"scheme": "central"}, {"antithetic": True, "directions": 2}])
def test_differences_to_both_sides_are_judged_as_such(generator: Generator, fields: dict[str, Any]) -> None:
    """By hand, at a width where they differ from those to one side."""
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        middle = copy.deepcopy(generator)(torch.randn(128, 6, generator=draws))
        direction = sphere(middle, 1, draws)[0]
        logits = CLONE(squashed(middle))

    def size(epsilon: float) -> float:
        ends = (LOSSES["kl"](logits, smooth(squashed(middle + way * epsilon * direction))) for way in (1, -1))
        ahead, behind = (end.double() for end in ends)
        return float(((ahead - behind) / (2 * epsilon)).square().mean().sqrt())

    found = look(copy.deepcopy(generator), smooth, epsilon=10.0, **fields)
    assert found.ratio == pytest.approx(size(10.0) / size(1e-2), rel=0.01)
    assert found.ratio != pytest.approx(look(copy.deepcopy(generator), smooth, epsilon=10.0).ratio, rel=0.05)


@pytest.mark.parametrize(
    ("correlation", "points", "low", "blind"),
    [(0.5, 103, 0.3394, False), (0.2, 103, 0.0067, True), (0.2, 1003, 0.1398, False), (1.0, 103, 1.0, False)],
)
def test_the_interval_is_fishers(correlation: float, points: int, low: float, blind: bool) -> None:
    """The first by hand: atanh(0.5) = 0.5493, minus 1.96 / 10 is 0.3533, and tanh of it 0.3394."""
    found = Masking(epsilon=1.0, points=points, zero_share=0.0, correlation=correlation, ratio=1.0)
    assert found.correlation_low == pytest.approx(low, abs=1e-4)
    assert found.is_blind is blind


def test_rounded_answers_are_masked(generator: Generator) -> None:
    """The share of zeros is counted by hand, and what differs differs by a whole step of the grid."""

    def rounded(images: Tensor) -> Tensor:
        return (smooth(images) * 50).round() / 50

    copied = copy.deepcopy(generator)
    draws = torch.Generator().manual_seed(3)
    with torch.no_grad():
        middle = copied(torch.randn(128, 6, generator=draws))
        end = middle + 0.05 * sphere(middle, 1, draws)[0]
    expected = (rounded(squashed(middle)) == rounded(squashed(end))).all(1).double().mean().item()
    assert 0.3 < expected < 1
    found = look(generator, rounded, epsilon=0.05, seed=3)
    assert found.zero_share == expected
    assert found.ratio is not None
    assert found.correlation is not None
    assert found.ratio > 2
    assert found.correlation < 0.7
    assert look(generator, rounded, epsilon=0.005).zero_share > found.zero_share


def test_a_constant_victim_has_no_differences(generator: Generator) -> None:
    found = look(generator, lambda images: torch.full((len(images), 4), 0.25), epsilon=0.1)
    assert found == Masking(epsilon=0.1, points=128, zero_share=1.0, correlation=None, ratio=None)


def test_slopes_are_of_the_victim_alone(generator: Generator) -> None:
    """With the opposite of the loss's slope as its difference, a victim correlates to -1."""
    turned = copy.deepcopy(VICTIM)

    def backwards(images: Tensor) -> Tensor:
        """Mirror the step about the point: the second half of what is asked goes the other way."""
        with torch.no_grad():
            return turned(images.double()).softmax(1)

    middle: list[Tensor] = []

    def mirrored(images: Tensor) -> Tensor:
        place = torch.atanh((2 * images.double() - 1).clamp(-1 + 1e-9, 1 - 1e-9))
        if not middle:
            middle.append(place)
            return backwards(images)
        return backwards(squashed(2 * middle.pop() - place))

    found = look(generator, mirrored, epsilon=1e-2)
    assert found.correlation is not None
    assert found.correlation < -0.99


def test_the_seed_draws_all_and_nothing_changes(generator: Generator) -> None:
    before = torch.random.get_rng_state()
    weights = copy.deepcopy(CLONE.state_dict())
    first = look(copy.deepcopy(generator), smooth, epsilon=0.1)
    assert look(copy.deepcopy(generator), smooth, epsilon=0.1) == first
    assert look(copy.deepcopy(generator), smooth, epsilon=0.1, seed=1) != first
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in CLONE.state_dict().items())
    assert all(parameter.grad is None for module in (CLONE, VICTIM, generator) for parameter in module.parameters())


def test_one_point_has_no_correlation(generator: Generator) -> None:
    found = look(generator.eval(), smooth, epsilon=1e-2, points=1)
    assert found.correlation is None
    assert found.ratio is not None
    assert math.isclose(found.ratio, 1, rel_tol=0.05)


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA"))],
)
def test_a_device_does_not_mask_a_float_victim(device: str) -> None:
    """TF32 would: its ten bits round away what the published step changes."""
    victim, clone = (zoo.create("resnet8", 4, size=16, seed=seed).to(device) for seed in (0, 1))
    victim(torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)).to(device))
    oracle = Oracle(victim.eval(), budget=1000, pixels="float")
    generator = Generator(6, 16, width=4).to(device)
    found = masking(
        oracle.stream, victim, clone.eval(), generator, differences=Differences(), loss="l1", latent=6, points=64
    )
    assert found.correlation is not None
    assert found.correlation > 0.9
