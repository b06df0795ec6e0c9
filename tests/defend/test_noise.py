"""The noise: its generator against published numbers, its distribution, and what it depends on."""

import math
import struct

import pytest
import torch
from scipy import stats
from torch import Tensor

from edgerift.defend import GaussianNoise
from edgerift.defend.defences._noise import normal, splitmix64

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def scramble(state: int) -> int:
    """SplitMix64's output function in whole numbers without a sign."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def rows(count: int, classes: int) -> Tensor:
    return (torch.randn(count, classes, generator=torch.Generator().manual_seed(3)) * 2).softmax(1)


@pytest.mark.parametrize(
    ("seed", "outputs"),
    [
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
    ],
)
def test_the_generator_gives_the_published_numbers(seed: int, outputs: list[int]) -> None:
    states = [(seed + count * GOLDEN) & MASK for count in (1, 2, 3)]
    signed = torch.tensor([state - 2**64 if state >= 2**63 else state for state in states])
    assert [number & MASK for number in splitmix64(signed).tolist()] == outputs
    assert [scramble(state) for state in states] == outputs


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_the_noise_in_whole_numbers(seed: int) -> None:
    for row in rows(5, 4):
        total = scramble((seed + GOLDEN) & MASK)
        for index, p in enumerate(row.tolist()):
            bits = struct.unpack("<I", struct.pack("<f", p))[0]
            total += scramble((bits + (index + 1) * GOLDEN) & MASK)
        state = scramble(total & MASK)
        draws = [((scramble((state + count * GOLDEN) & MASK) >> 11) + 1) / 2**53 for count in range(1, 9)]
        expected = [math.sqrt(-2 * math.log(draws[k])) * math.cos(2 * math.pi * draws[k + 4]) for k in range(4)]
        assert normal(row[None], seed)[0].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_noise_is_standard_normal_and_independent_between_classes_and_seeds() -> None:
    answers = rows(20_000, 4)
    drawn, other = normal(answers, 0), normal(answers, 1)
    assert stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 0.001
    together = torch.corrcoef(torch.cat([drawn, other], 1).t())
    assert float((together - torch.eye(8)).abs().max()) < 0.03
    following = torch.corrcoef(torch.stack([drawn[:-1, 0], drawn[1:, 0]]))
    assert abs(float(following[0, 1])) < 0.03


def test_the_answer_is_the_row_plus_noise_cut_and_divided() -> None:
    answers = rows(300, 10)
    noisy = (answers.double() + 0.1 * normal(answers, 4)).clamp_min(0)
    expected = (noisy / noisy.sum(1, keepdim=True)).float()
    assert torch.equal(GaussianNoise(sigma=0.1, seed=4)(answers), expected)


def test_where_nothing_is_left_the_highest_class_is_answered_alone() -> None:
    answers = rows(2000, 2)
    noise = normal(answers, 0)
    noisy = answers.double() + 50 * noise
    gone = (noisy <= 0).all(1)
    assert 300 < int(gone.sum()) < 700
    answered = GaussianNoise(sigma=50.0)(answers)[gone]
    assert torch.equal(answered, torch.eye(2)[noisy[gone].argmax(1)])


def test_asking_again_gives_the_same_and_another_seed_or_answer_another() -> None:
    answers = rows(50, 10)
    noise = GaussianNoise(sigma=0.1)
    assert torch.equal(noise(answers.repeat(2, 1)), noise(answers).repeat(2, 1))
    assert not torch.equal(noise(answers), GaussianNoise(sigma=0.1, seed=1)(answers))
    nearly = torch.nextafter(answers, torch.zeros_like(answers))
    assert float((normal(answers, 0) - normal(nearly, 0)).abs().mean()) > 0.5


def test_minus_zero_is_zero() -> None:
    row = torch.tensor([[1.0, 0.0]])
    assert torch.equal(normal(row, 0), normal(torch.tensor([[1.0, -0.0]]), 0))


def test_equal_probabilities_in_other_classes_have_noise_of_their_own() -> None:
    drawn = normal(torch.tensor([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]]), 0)
    assert len(set(drawn.flatten().tolist())) == 9
