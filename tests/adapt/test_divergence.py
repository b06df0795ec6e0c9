"""DivQAT's loss: by hand on three classes, against PyTorch's divergence, and at the ends of what it may be given."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch.nn import functional as F

from edgerift import errors
from edgerift.adapt import Divqat, divergence

# Halves, quarters and eighths: every divergence of these is a whole number of log(2) over a power of two.
ANSWER = torch.tensor([[0.5, 0.25, 0.25]])
REFERENCE = torch.tensor([[0.25, 0.625, 0.125]])
LABEL = torch.tensor([0])
DIRECTIONS = ["forward", "reverse", "jensen-shannon"]

#: One setting of each field that changes the loss, and the paper's loss.
VARIANTS = [
    {},
    {"direction": "reverse"},
    {"direction": "jensen-shannon"},
    {"temperature": 4.0},
    {"floor": 0.001},
    {"cap": 0.4},
    {"gate": 0.1},
    {"hinge": 0.5},
    {"direction": "reverse", "temperature": 2.0, "floor": 0.01, "cap": 5.0, "gate": 0.0, "hinge": 1.5},
    {"direction": "jensen-shannon", "temperature": 8.0, "floor": 0.1, "cap": 3.0},
]

logits = arrays.arrays("float32", (6, 5), elements=st.floats(-30, 30, width=32)).map(torch.from_numpy)


def drawn(seed, rows=6, classes=5, scale=2.0):
    return scale * torch.randn(rows, classes, generator=torch.Generator().manual_seed(seed))


def kl(first, second):
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    return float((first * np.log(first / second)).sum())


def test_the_loss_by_hand():
    # KL(Q || L) = 1/2 log(2) + 1/4 log(2/5) + 1/4 log(2)
    expected = 0.75 * math.log(2) + 0.25 * math.log(0.4)
    assert expected == pytest.approx(0.2907876)
    assert kl(ANSWER[0], REFERENCE[0]) == pytest.approx(expected)
    assert float(divergence(ANSWER.log(), REFERENCE.log())) == pytest.approx(expected, rel=1e-6)
    loss = Divqat(alpha=0.3).loss(ANSWER.log(), REFERENCE.log(), LABEL)
    assert float(loss) == pytest.approx(math.log(2) - 0.3 * expected, rel=1e-6)
    smoothed = -(0.8 * math.log(0.5) + 0.2 * (math.log(0.5) + 2 * math.log(0.25)) / 3)
    loss = Divqat(alpha=0.3).loss(ANSWER.log(), REFERENCE.log(), LABEL, label_smoothing=0.2)
    assert float(loss) == pytest.approx(smoothed - 0.3 * expected, rel=1e-6)


def test_the_other_directions_by_hand():
    # KL(L || Q) = 1/4 log(1/2) + 5/8 log(5/2) + 1/8 log(1/2), and the mixture is (6, 7, 3) / 16.
    reverse = -0.375 * math.log(2) + 0.625 * math.log(2.5)
    assert reverse == pytest.approx(0.3127515)
    assert float(divergence(ANSWER.log(), REFERENCE.log(), "reverse")) == pytest.approx(reverse, rel=1e-6)
    mixture = np.array([6, 7, 3]) / 16
    jensen_shannon = (kl(ANSWER[0], mixture) + kl(REFERENCE[0], mixture)) / 2
    assert jensen_shannon == pytest.approx(0.0733650, abs=1e-6)
    found = divergence(ANSWER.log(), REFERENCE.log(), "jensen-shannon")
    assert float(found) == pytest.approx(jensen_shannon, rel=1e-5)


@given(logits, logits)
def test_the_directions_are_those_of_pytorch(first, second):
    answer, reference = first.log_softmax(1), second.log_softmax(1)
    # kl_div(input, target) is KL(target || input).
    forward = F.kl_div(reference, answer, reduction="none", log_target=True).sum(1)
    reverse = F.kl_div(answer, reference, reduction="none", log_target=True).sum(1)
    torch.testing.assert_close(divergence(answer, reference), forward, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(divergence(answer, reference, "reverse"), reverse, rtol=1e-5, atol=1e-6)


@given(logits, logits)
def test_jensen_shannon_is_symmetric_and_at_most_log_2(first, second):
    answer, reference = first.log_softmax(1), second.log_softmax(1)
    there, back = (divergence(*pair, "jensen-shannon") for pair in ((answer, reference), (reference, answer)))
    torch.testing.assert_close(there, back)
    assert float(there.max()) <= math.log(2) + 1e-6
    assert float(there.min()) >= -1e-6


def test_answers_apart_are_log_2_apart():
    apart = torch.tensor([[90.0, 0.0]]).log_softmax(1)
    assert float(divergence(apart, apart.flip(1), "jensen-shannon")) == pytest.approx(math.log(2))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_equal_answers_do_not_diverge(direction):
    answer = drawn(0).log_softmax(1)
    assert float(divergence(answer, answer.clone(), direction).abs().max()) < 1e-6


def test_the_loss_is_the_mean_over_the_images():
    answer, original, labels = drawn(0), drawn(1), torch.tensor([0, 1, 2, 3, 4, 0])
    loss = Divqat(alpha=0.7)
    rows = [loss.loss(answer[i : i + 1], original[i : i + 1], labels[i : i + 1]) for i in range(6)]
    assert float(loss.loss(answer, original, labels)) == pytest.approx(float(torch.stack(rows).mean()), rel=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_the_temperature_is_nasty_teachers(temperature):
    answer, original, labels = drawn(0), drawn(1), torch.tensor([0, 1, 2, 3, 4, 0])
    # Ma et al. 2021, equation 2, in float64: CE - omega tau^2 KL(softmax(nasty / tau) || softmax(other / tau)).
    nasty, other = ((scores.double() / temperature).softmax(1) for scores in (answer, original))
    distance = temperature**2 * (nasty * (nasty.log() - other.log())).sum(1).mean()
    expected = F.cross_entropy(answer.double(), labels) - 0.04 * distance
    loss = Divqat(alpha=0.04, temperature=temperature).loss(answer, original, labels)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("floor", [1e-3, 0.1])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_floor_bounds_the_divergence(floor, temperature):
    loss = Divqat(floor=floor, temperature=temperature)
    bound = temperature**2 * math.log(10 / floor)
    labels = torch.zeros(1000, dtype=torch.int64)
    found = loss.divergences(drawn(0, 1000, 10, 30.0), drawn(1, 1000, 10, 30.0), labels)
    assert float(found.max()) <= bound * (1 + 1e-6)
    # It is reached where all of Q lies on a class that L leaves nothing.
    apart = 200 * torch.eye(10)
    found = loss.divergences(apart[:1], apart[1:2], labels[:1])
    assert float(found) == pytest.approx(bound, rel=1e-5)


def test_a_floor_mixes_the_original_with_the_uniform():
    loss = Divqat(floor=0.4)
    mixed = 0.6 * REFERENCE + 0.4 / 3
    assert float(loss.divergences(ANSWER.log(), REFERENCE.log(), LABEL)) == pytest.approx(kl(ANSWER[0], mixed[0]))


def test_past_the_cap_there_is_no_gradient():
    answer, original, labels = drawn(0).requires_grad_(), drawn(1), torch.zeros(6, dtype=torch.int64)
    free = Divqat().divergences(answer, original, labels).detach()
    cap = float(free.median())
    capped = Divqat(cap=cap).divergences(answer, original, labels)
    assert torch.equal(capped, free.clamp(max=cap))
    (grad,) = torch.autograd.grad(capped.sum(), answer)
    (full,) = torch.autograd.grad(Divqat().divergences(answer, original, labels).sum(), answer)
    past = free > cap
    assert 0 < int(past.sum()) < 6
    assert bool((grad[past] == 0).all())
    assert torch.equal(grad[~past], full[~past])
    assert bool((full[past] != 0).any(1).all())


def test_the_cap_counts_after_the_temperatures_square():
    given = 5 * ANSWER.log(), 5 * REFERENCE.log(), LABEL  # The divergence is 0.29, and 25 times that counts.
    assert float(Divqat(temperature=5.0).divergences(*given)) == pytest.approx(25 * 0.2907876, rel=1e-5)
    assert float(Divqat(temperature=5.0, cap=0.5).divergences(*given)) == 0.5


#: Rows of a gate's cases: how far the label is ahead of the best other class.
AHEAD = torch.tensor([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4], [0.4, 0.4, 0.2], [0.2, 0.7, 0.1], [0.9, 0.05, 0.05]])


@pytest.mark.parametrize(
    ("gate", "counted"),
    [(None, [1, 1, 1, 1, 1]), (0.0, [1, 1, 0, 0, 1]), (0.2, [1, 0, 0, 0, 1]), (0.5, [0, 0, 0, 0, 1])],
)
def test_a_gate_counts_the_images_whose_label_is_ahead(gate, counted):
    original, labels = torch.zeros(5, 3), torch.zeros(5, dtype=torch.int64)
    found = Divqat(gate=gate).divergences(AHEAD.log(), original, labels)
    free = Divqat().divergences(AHEAD.log(), original, labels)
    assert torch.equal(found, free * torch.tensor(counted))
    # The images that do not count stay in the mean.
    loss = Divqat(alpha=1.0, gate=gate).loss(AHEAD.log(), original, labels)
    entropy = F.cross_entropy(AHEAD.log(), labels)
    assert float(loss) == pytest.approx(float(entropy - (free * torch.tensor(counted)).sum() / 5), rel=1e-5)


def test_a_gate_asks_for_each_images_own_label():
    original, labels = torch.zeros(5, 3), torch.tensor([1, 2, 2, 1, 0])
    found = Divqat(gate=0.0).divergences(AHEAD.log(), original, labels)
    assert (found > 0).tolist() == [False, False, False, True, True]


def test_a_gate_looks_at_temperature_1():
    # At temperature 10 no class is ahead by a half.
    found = Divqat(gate=0.5, temperature=10.0).divergences(AHEAD.log(), torch.zeros(5, 3), torch.zeros(5).long())
    assert (found > 0).tolist() == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("hinge", "counted"), [(None, [1, 1, 1, 1]), (0.1, [1, 0, 0, 0]), (0.5, [1, 1, 0, 0]), (1.9, [1, 1, 1, 0])]
)
def test_a_hinge_counts_the_images_that_are_near(hinge, counted):
    # The l1 distances are 0, 0.4, 1.2 and 1.96.
    original = torch.tensor([0.98, 0.01, 0.01]).log().expand(4, 3)
    answer = torch.tensor([[0.98, 0.01, 0.01], [0.78, 0.21, 0.01], [0.38, 0.61, 0.01], [0.001, 0.989, 0.01]]).log()
    fields = {"temperature": 3.0, "floor": 0.9}  # The hinge looks at neither.
    labels = torch.zeros(4, dtype=torch.int64)
    found = Divqat(hinge=hinge, **fields).divergences(answer, original, labels)
    free = Divqat(**fields).divergences(answer, original, labels)
    assert bool((free > 0).all())
    assert torch.equal(found, free * torch.tensor(counted))


@pytest.mark.parametrize("mask", [{"gate": 0.2}, {"hinge": 0.6}, {"gate": 0.1, "hinge": 0.9}])
def test_no_gradient_goes_through_a_mask(mask):
    answer, labels = drawn(0, 40), torch.arange(40) % 3
    original = answer + drawn(1, 40, scale=1.0)
    answer.requires_grad_()
    found = Divqat(**mask).divergences(answer, original, labels)
    (grad,) = torch.autograd.grad(found.sum(), answer)
    (free,) = torch.autograd.grad(Divqat().divergences(answer, original, labels).sum(), answer)
    counts = (found > 0).float()
    assert 0 < float(counts.sum()) < 40
    assert torch.equal(grad, free * counts[:, None])


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_the_gradient_is_that_of_finite_differences(fields):
    answer, original, labels = drawn(3, scale=1.0), drawn(4, scale=1.0), torch.tensor([0, 1, 2, 3, 4, 0])
    loss = Divqat(alpha=0.8, **fields)
    (grad,) = torch.autograd.grad(loss.loss(answer.requires_grad_(), original, labels), answer)
    step, answer = 5e-3, answer.detach()
    for place in np.ndindex(6, 5):
        moved = torch.zeros(6, 5)
        moved[place] = step
        ahead, behind = (float(loss.loss(answer + sign * moved, original, labels)) for sign in (1, -1))
        assert (ahead - behind) / (2 * step) == pytest.approx(float(grad[place]), abs=2e-3), place


@pytest.mark.parametrize("alpha", [0.0, 0.5])
@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_great_logits_give_finite_losses_and_gradients(fields, alpha):
    signs = torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1], [1, 1, 1], [-1, -1, -1], [0, 1, -1]])
    answer, original = 1e4 * signs.repeat(6, 1), 1e4 * signs.repeat_interleave(6, 0)
    answer.requires_grad_()
    value = Divqat(alpha=alpha, **fields).loss(answer, original, torch.arange(36) % 3)
    (grad,) = torch.autograd.grad(value, answer)
    assert bool(value.isfinite())
    assert bool(grad.isfinite().all())


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_alpha_0_is_the_cross_entropy_bit_for_bit(fields):
    answer, original, labels = drawn(0).requires_grad_(), drawn(1), torch.tensor([0, 1, 2, 3, 4, 0])
    found = Divqat(alpha=0.0, **fields).loss(answer, original, labels, label_smoothing=0.1)
    expected = F.cross_entropy(answer, labels, label_smoothing=0.1)
    assert torch.equal(found, expected)
    first, second = (torch.autograd.grad(value, answer)[0] for value in (found, expected))
    assert torch.equal(first, second)


@pytest.mark.parametrize("fields", VARIANTS, ids=str)
def test_reduced_precision_outside_is_float32_inside(fields):
    answer, original = drawn(0).bfloat16(), drawn(1).bfloat16()
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    loss = Divqat(alpha=0.5, **fields)
    expected = loss.loss(answer.float(), original.float(), labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss.loss(answer, original, labels)
        assert loss.divergences(answer, original, labels).dtype == torch.float32
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_the_original_gets_no_gradient():
    original = drawn(1).requires_grad_()
    for fields in VARIANTS:
        answer = drawn(0).requires_grad_()
        Divqat(alpha=0.5, **fields).loss(answer, original, torch.zeros(6, dtype=torch.int64)).backward()
        assert original.grad is None
        assert answer.grad is not None


def test_the_strength_is_alpha_or_the_hinge():
    loss = Divqat(alpha=0.3, cap=2.0, temperature=4.0)
    assert loss.strength == 0.3
    assert loss.with_strength(1.5) == Divqat(alpha=1.5, cap=2.0, temperature=4.0)
    held = Divqat(alpha=0.3, cap=2.0, hinge=0.6)
    assert held.strength == 0.6
    assert held.with_strength(1.5) == Divqat(alpha=0.3, cap=2.0, hinge=1.5)


def test_a_hinge_of_0_counts_nothing():
    answer = drawn(0)
    for original in (answer.clone(), drawn(1)):
        assert float(Divqat(hinge=0.0).divergences(answer, original, torch.zeros(6).long()).abs().max()) == 0


def test_the_defaults_are_the_papers_loss():
    plain = Divqat()
    assert (plain.direction, plain.temperature, plain.floor) == ("forward", 1.0, 0.0)
    assert (plain.cap, plain.gate, plain.hinge) == (None, None, None)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"alpha": -0.1}, "alpha is -0.1"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"floor": 1.0}, "floor is 1.0"),
        ({"cap": 0.0}, "cap is 0.0"),
        ({"gate": 1.0}, "gate is 1.0"),
        ({"hinge": 2.5}, "hinge is 2.5"),
        ({"direction": "backward"}, "direction"),
        ({"alfa": 1.0}, "did you mean 'alpha'"),
        ({"alpha": math.nan}, "alpha"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused(fields, text):
    with pytest.raises(errors.RecipeError, match=text):
        Divqat(**fields)
