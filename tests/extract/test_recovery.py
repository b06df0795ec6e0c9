"""Logits from posteriors and back, and the losses against NumPy and scipy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import log_softmax, rel_entr, softmax

from edgerift.extract import recover_logits
from edgerift.extract._recovery import LOSSES, Loss, total_loss

LOGITS = arrays.arrays(
    np.float64, st.tuples(st.integers(1, 5), st.integers(2, 12)), elements=st.floats(-15, 15, width=32)
)


def drawn(seed: int, rows: int = 6, classes: int = 5, scale: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw a clone's logits and a victim's posteriors, float64."""
    generator = np.random.default_rng(seed)
    return scale * generator.normal(size=(rows, classes)), softmax(scale * generator.normal(size=(rows, classes)), 1)


@given(LOGITS, st.floats(-50, 50))
def test_logits_are_recovered_up_to_their_mean(logits: np.ndarray, shift: float) -> None:
    expected = logits - logits.mean(1, keepdims=True)
    exact = recover_logits(torch.from_numpy(logits + shift).softmax(1))
    assert np.allclose(exact.numpy(), expected, rtol=0, atol=1e-11)
    single = recover_logits(torch.from_numpy(logits).float().softmax(1))
    assert single.dtype == torch.float32
    assert np.allclose(single.numpy(), expected, rtol=0, atol=2e-5)


def test_answers_of_zero_count_as_a_tiny_number() -> None:
    answers = torch.tensor([[1.0, 0.0], [1.0, 1e-38]])
    half = np.log(1e30) / 2
    assert np.allclose(recover_logits(answers).numpy(), [[half, -half]] * 2, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_losses_equal_independent_references(seed: int) -> None:
    logits, answers = drawn(seed)
    answers[0, :2] = 0
    answers[0] /= answers[0].sum()
    logarithm = np.log(np.maximum(answers, 1e-30))
    references: dict[Loss, np.ndarray] = {
        "l1": np.abs(logits - (logarithm - logarithm.mean(1, keepdims=True))).mean(1),
        "kl": rel_entr(answers, softmax(logits, 1)).sum(1),
        "cross-entropy": -log_softmax(logits, 1)[np.arange(6), answers.argmax(1)],
    }
    assert references.keys() == LOSSES.keys()
    for name, expected in references.items():
        found = LOSSES[name](torch.from_numpy(logits).float(), torch.from_numpy(answers).float())
        assert found.shape == (6,)
        assert np.allclose(found.numpy(), expected, rtol=2e-5, atol=1e-5), name
        mean = total_loss(name, torch.from_numpy(logits).float(), torch.from_numpy(answers).float())
        assert mean.item() == pytest.approx(expected.mean(), rel=2e-5)


def test_gradients_of_the_losses_have_their_closed_forms() -> None:
    numbers, answers = drawn(7)
    posteriors = torch.from_numpy(answers)
    label = torch.nn.functional.one_hot(posteriors.argmax(1), 5)
    recovered = torch.from_numpy(np.log(answers) - np.log(answers).mean(1, keepdims=True))
    for name, expected in {
        "kl": lambda logits: logits.softmax(1) - posteriors,
        "cross-entropy": lambda logits: logits.softmax(1) - label,
        "l1": lambda logits: (logits - recovered).sign() / 5,
    }.items():
        logits = torch.from_numpy(numbers).requires_grad_()
        LOSSES[name](logits, posteriors).sum().backward()  # type: ignore[index]
        assert torch.allclose(logits.grad, expected(logits.detach()), atol=1e-12), name  # type: ignore[arg-type]


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_perfect_clone_loses_nothing(name: Loss) -> None:
    logits, _ = drawn(3)
    same = torch.from_numpy(logits).float()
    answers = same.softmax(1)
    if name == "cross-entropy":
        same, answers = 100 * torch.eye(5), torch.eye(5)
    # A constant added to all logits of an image says nothing.
    shift = 0.0 if name == "l1" else 3.0
    centred = same - same.mean(1, keepdim=True) + shift
    assert LOSSES[name](centred, answers).abs().max() < 1e-5


def test_the_loss_is_computed_in_single_precision() -> None:
    logits, answers = drawn(5)
    half = torch.from_numpy(logits).to(torch.bfloat16)
    posteriors = torch.from_numpy(answers).float()
    for name in LOSSES:
        found = total_loss(name, half, posteriors)
        assert found.dtype == torch.float32
        assert torch.equal(found, total_loss(name, half.float(), posteriors))
