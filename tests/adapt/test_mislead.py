"""The misleading target against its two promises, and the baseline that aims at nothing."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from edgerift.adapt import LabelSmoothing, MisleadingTargets
from edgerift.errors import RecipeError


class Fixed(torch.nn.Module):
    """A model that answers the same logits, which can be learned, whatever it is asked."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits + 0 * images.flatten(1).sum(1, keepdim=True)


@settings(deadline=None)
@given(
    seed=st.integers(0, 10**6),
    classes=st.sampled_from([2, 3, 10, 100]),
    l1=st.floats(0, 2),
    margin=st.floats(0.001, 0.9),
    towards=st.sampled_from(["second", "least"]),
)
def test_the_target_keeps_both_promises(seed: int, classes: int, l1: float, margin: float, towards: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    answers = (5 * torch.randn(64, classes, generator=generator)).softmax(1)
    target = MisleadingTargets.model_validate({"l1": l1, "margin": margin, "towards": towards}).target(answers)
    torch.testing.assert_close(target.sum(1), torch.ones(64))
    assert bool((target >= 0).all())
    moved = (target - answers).abs().sum(1)
    assert bool((moved <= l1 + 1e-5).all())
    assert torch.equal(target.argmax(1), answers.argmax(1))
    ahead = target.topk(2, dim=1).values
    changed = moved > 1e-6
    if towards == "second":
        assert bool((ahead[changed, 0] - ahead[changed, 1] >= margin - 1e-5).all())
    before = answers.topk(2, dim=1).values
    close = before[:, 0] - before[:, 1] < margin
    if towards == "second":
        assert torch.equal(target[close], answers[close])


@pytest.mark.parametrize(
    ("towards", "l1", "margin", "expected"),
    [
        # 2 s (1 - 0.2) = 0.4 gives s = 0.25.
        ("second", 0.4, 0.1, [0.525, 0.4, 0.075]),
        # The margin binds: s = (0.5 - 0.3) / 1.5.
        ("second", 2.0, 0.3, [0.7 * 13 / 15, 0.2 * 13 / 15 + 2 / 15, 0.1 * 13 / 15]),
        # 2 s (1 - 0.1) = 0.36 gives s = 0.2.
        ("least", 0.36, 0.1, [0.56, 0.16, 0.28]),
        ("second", 0.0, 0.1, [0.7, 0.2, 0.1]),
        ("second", 0.6, 0.6, [0.7, 0.2, 0.1]),
    ],
)
def test_targets_by_hand(towards: str, l1: float, margin: float, expected: list[float]) -> None:
    defence = MisleadingTargets.model_validate({"l1": l1, "margin": margin, "towards": towards})
    torch.testing.assert_close(defence.target(torch.tensor([[0.7, 0.2, 0.1]])), torch.tensor([expected]))


def test_the_loss_has_its_minimum_between_label_and_target() -> None:
    # For a free answer the minimum of CE(y) + w CE(t) is (onehot(y) + w t) / (1 + w).
    answers = torch.tensor([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])
    labels = torch.tensor([0, 1])
    defence = MisleadingTargets(l1=0.3, margin=0.05, weight=3.0)
    model, original = Fixed(torch.zeros(2, 3)), Fixed(answers.log())
    images = torch.zeros(2, 3, 4, 4)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = defence.batch_loss(model, original, images, labels, 0.0)
        loss.backward()
        return loss

    optimizer.step(closure)
    expected = (F.one_hot(labels, 3) + 3 * defence.target(answers)) / 4
    torch.testing.assert_close(model.logits.softmax(1), expected, atol=1e-4, rtol=0)
    assert original.logits.grad is None


def test_smoothing_is_the_smoothed_cross_entropy() -> None:
    logits, labels = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]]), torch.tensor([0, 2])
    smooth = 0.7 * F.one_hot(labels, 3) + 0.1
    by_hand = -(smooth * logits.log_softmax(1)).sum(1).mean()
    loss = LabelSmoothing(share=0.3).batch_loss(Fixed(logits), Fixed(logits), torch.zeros(2, 3, 4, 4), labels, 0.0)
    torch.testing.assert_close(loss, by_hand)
    assert LabelSmoothing().with_strength(0.4).strength == 0.4


@pytest.mark.parametrize("fields", [{"l1": -0.1}, {"l1": 2.1}, {"margin": 1.0}, {"weight": 0.0}, {"towards": "third"}])
def test_wrong_settings_are_named(fields: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match=next(iter(fields))):
        MisleadingTargets.model_validate(fields)


def test_the_strength_of_a_misleading_target_is_its_distance() -> None:
    assert MisleadingTargets(l1=0.2).strength == 0.2
    assert MisleadingTargets(margin=0.3).with_strength(0.5) == MisleadingTargets(l1=0.5, margin=0.3)
