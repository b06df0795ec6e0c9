"""The critic's loss in closed form."""

import pytest
import torch
from torch import Tensor, nn

from edgerift.extract._critic import Critic, critic_loss


class Linear(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


class Square(nn.Module):
    """Half the square of an image's length: its slope is the image."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).square().sum(1) / 2


def images(seed: int, count: int = 5) -> Tensor:
    return torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_linear_critic_is_punished_for_its_slope() -> None:
    real, made = images(0), images(1)
    critic = Linear(torch.linspace(-1, 2, 12, dtype=torch.float64))
    weight = critic.weight.detach()
    difference = (made.mean(0) - real.mean(0)).flatten()
    expected = weight @ difference + 10 * (weight.norm() - 1) ** 2
    loss = critic_loss(critic, real, made, torch.Generator().manual_seed(2))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    loss.backward()
    slope = difference + 20 * (weight.norm() - 1) * weight / weight.norm()
    assert critic.weight.grad is not None
    assert torch.allclose(critic.weight.grad, slope, rtol=1e-6)


def test_the_penalty_is_taken_between_real_and_made_images() -> None:
    real, made = images(3), images(4)
    share = torch.rand(5, 1, 1, 1, generator=torch.Generator().manual_seed(6))
    between = share * real + (1 - share) * made
    sizes = [batch.flatten(1).norm(dim=1) for batch in (between, made, real)]
    expected = 10 * (sizes[0] - 1).square().mean() + (sizes[1] ** 2).mean() / 2 - (sizes[2] ** 2).mean() / 2
    loss = critic_loss(Square(), real, made, torch.Generator().manual_seed(6))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert not real.requires_grad
    assert not made.requires_grad


@pytest.mark.parametrize("size", [8, 12, 32])
def test_a_critic_gives_one_number_for_each_image(size: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = Critic()
    batch = torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    found = critic(batch)
    assert found.shape == (4,)
    assert torch.allclose(critic(batch[:1]), found[:1], atol=1e-6)


def test_a_critic_learns_to_tell_bright_from_dark() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        critic = Critic()
    generator = torch.Generator().manual_seed(0)
    bright = 0.7 + 0.3 * torch.rand(16, 3, 8, 8, generator=generator)
    dark = 0.3 * torch.rand(16, 3, 8, 8, generator=generator)
    descent = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    for _ in range(30):
        descent.zero_grad()
        critic_loss(critic, bright, dark, generator).backward()
        descent.step()
    with torch.no_grad():
        assert critic(bright).min() > critic(dark).max()
