import numpy as np
import pytest
import torch
from torch import Tensor

from edgerift.evade import CrossEntropy, Diva, Margin, PairMargin, TargetedDiva, margin
from edgerift.evade._objective import ObjectiveSettings as NamedObjective

LABELS = torch.tensor([0, 2, 1, 1, 3])


def logits(seed: int) -> Tensor:
    return 3 * torch.randn(5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ORIGINAL, FIRST, SECOND = logits(0), logits(1), logits(2)


def probability(scores: Tensor) -> np.ndarray:
    """Compute the softmax probability of the label, row by row."""
    return np.array([np.exp(row[label]) / np.exp(row).sum() for row, label in zip(scores.numpy(), LABELS, strict=True)])


def surprise(scores: Tensor, label: int | None = None) -> np.ndarray:
    """Compute the cross-entropy of the labels, or of one class."""
    wanted = LABELS.tolist() if label is None else [label] * len(LABELS)
    return np.array([np.log(np.exp(row).sum()) - row[k] for row, k in zip(scores.numpy(), wanted, strict=True)])


def lead(scores: Tensor) -> np.ndarray:
    """Compute the label's logit less the largest other."""
    rows = zip(scores.numpy(), LABELS.tolist(), strict=True)
    return np.array([row[k] - max(value for j, value in enumerate(row) if j != k) for row, k in rows])


@pytest.mark.parametrize("adapted", [(FIRST,), (FIRST, SECOND)], ids=["one build", "a fleet"])
@pytest.mark.parametrize(
    ("objective", "formula"),
    [
        (Diva(c=1.5), lambda builds: probability(ORIGINAL) - 1.5 * sum(probability(build) for build in builds)),
        (Diva(c=0.0), lambda builds: probability(ORIGINAL)),
        (
            TargetedDiva(target=2, c=0.5, weight=7.0),
            lambda builds: (
                probability(ORIGINAL) - sum(0.5 * probability(build) + 7 * surprise(build, 2) for build in builds)
            ),
        ),
        (CrossEntropy(), lambda builds: sum(surprise(build) for build in builds)),
        (Margin(confidence=0.7), lambda builds: sum(np.minimum(-lead(build), 0.7) for build in builds)),
        (
            PairMargin(keep=0.5, fool=2.0),
            lambda builds: np.minimum(lead(ORIGINAL), 0.5) - sum(np.maximum(lead(build), -2) for build in builds),
        ),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_an_objective_is_its_formula_image_by_image(objective, formula, adapted) -> None:
    np.testing.assert_allclose(objective(ORIGINAL, adapted, LABELS).numpy(), formula(adapted), rtol=1e-12)


@pytest.mark.parametrize("objective", [Diva(), TargetedDiva(target=1), PairMargin()], ids=lambda value: value.type)
def test_a_gradient_is_that_of_the_formula(objective: NamedObjective) -> None:
    def value(original: Tensor, first: Tensor, second: Tensor) -> Tensor:
        return objective(original, (first, second), LABELS)

    inputs = [scores.clone().requires_grad_() for scores in (ORIGINAL, FIRST, SECOND)]
    assert torch.autograd.gradcheck(value, inputs)


@pytest.mark.parametrize("objective", [CrossEntropy(), Margin()], ids=lambda value: value.type)
def test_what_looks_at_the_build_alone_takes_an_empty_original(objective: NamedObjective) -> None:
    assert torch.equal(objective(torch.empty(0), (FIRST,), LABELS), objective(ORIGINAL, (FIRST,), LABELS))


@pytest.mark.parametrize(
    ("scores", "label", "expected"),
    [
        ([1.0, 1.0, 0.0], 0, 0.0),
        ([1.0, 1.0, 0.0], 1, 0.0),
        ([1.0, 1.0, 0.0], 2, -1.0),
        ([2.0, 2.0, 2.0], 1, 0.0),
        ([-5.0, -7.0], 1, -2.0),
        ([float("-inf"), 0.0], 1, float("inf")),
    ],
)
def test_a_margin_is_zero_at_a_tie_for_the_best(scores: list[float], label: int, expected: float) -> None:
    assert margin(torch.tensor([scores]), torch.tensor([label])).item() == expected


def test_a_pair_margin_stops_pulling_at_a_side_that_is_satisfied() -> None:
    """Margins 3 and -3 are beyond both clamps, margins 0.5 and -0.5 are inside."""
    original = torch.tensor([[3.0, 0.0], [3.0, 0.0], [0.5, 0.0], [0.5, 0.0]], requires_grad=True)
    build = torch.tensor([[-3.0, 0.0], [-0.5, 0.0], [-3.0, 0.0], [-0.5, 0.0]], requires_grad=True)
    PairMargin(keep=1, fool=1)(original, (build,), torch.zeros(4, dtype=torch.int64)).sum().backward()
    assert original.grad.tolist() == [[0, 0], [0, 0], [1, -1], [1, -1]]
    assert build.grad.tolist() == [[0, 0], [-1, 1], [0, 0], [-1, 1]]


def test_a_margin_attack_stops_pulling_at_its_confidence() -> None:
    build = torch.tensor([[-3.0, 0.0], [-0.5, 0.0]], requires_grad=True)
    Margin(confidence=1)(torch.empty(0), (build,), torch.zeros(2, dtype=torch.int64)).sum().backward()
    assert build.grad.tolist() == [[0, 0], [-1, 1]]


def test_the_sides_of_a_fleet_are_the_original_and_the_build_that_holds_longest() -> None:
    kept, holding = PairMargin().sides(ORIGINAL, (FIRST, SECOND), LABELS)
    np.testing.assert_allclose(kept.numpy(), lead(ORIGINAL))
    np.testing.assert_allclose(holding.numpy(), np.maximum(lead(FIRST), lead(SECOND)))
