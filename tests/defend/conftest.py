from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor


def _rows(classes: int) -> Tensor:
    """Rows of every kind: confident, flat, of one class, uniform, with zeros, with ties and with almost ties."""
    generator = np.random.default_rng(classes)
    drawn = [generator.dirichlet([sharpness] * classes, 150) for sharpness in (0.03, 0.3, 1.0, 30.0)]
    even = np.full((1, classes), 1 / classes)
    zeros = generator.dirichlet([1.0] * classes, 150) * (generator.random((150, classes)) < 0.5)
    zeros = np.concatenate([zeros[zeros.sum(1) > 0], np.eye(classes)])
    ties = generator.integers(1, 4, (150, classes)).astype(float)
    weights = np.concatenate([*drawn, even, zeros, ties])
    rows = torch.from_numpy(weights / weights.sum(1, keepdims=True)).float()
    near = rows.clone()
    near[:, -1] = torch.nextafter(near[:, -1], torch.tensor(2.0)).clamp_max(1)
    return torch.cat([rows, near])


@pytest.fixture(scope="session")
def rows_of() -> Callable[[int], Tensor]:
    """Give over a thousand rows of probabilities of so many classes."""
    made = {classes: _rows(classes) for classes in (2, 3, 10, 100)}
    return lambda classes: made[classes].clone()


@pytest.fixture(scope="session")
def confident() -> tuple[Tensor, Tensor]:
    """Give 2,000 answers of ten classes such as a trained network gives, and labels that 9 of 10 agree with."""
    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(2000, 10, generator=generator) * 2
    favourite = torch.randint(10, (2000,), generator=generator)
    scores[torch.arange(2000), favourite] += 9 * torch.rand(2000, generator=generator) + 2
    answers = scores.softmax(1)
    labels = torch.where(torch.rand(2000, generator=generator) < 0.9, answers.argmax(1), (answers.argmax(1) + 1) % 10)
    return answers, labels
