"""Noise that depends on the answer alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal, final

from pydantic import Field

from edgerift._lazy import later
from edgerift.defend._answer_defence import AnswerDefence, defence
from edgerift.defend._rows import checked, normalised
from edgerift.settings import Seed

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = later("torch")

_GOLDEN = 0x9E3779B97F4A7C15


@final
@defence
class GaussianNoise(AnswerDefence):
    """Answer p + sigma n with n standard normal, clipped at 0 and divided by its sum.

    If nothing is over 0, the answer is one-hot at the class with the highest value. `sigma` is the strength, 0 the
    identity. The label may change.

    n is a function of the row and `seed`, not of the batch or the order: repeated queries of an image get the same
    answer, so repetition does not average the noise out. Different images, such as a flipped copy, get different
    noise unless their answers are bit-equal.

    It is drawn from SplitMix64 (Steele et al. 2014, https://doi.org/10.1145/2660193.2660195), started at a hash of the
    row's bits and the seed, and made normal after Box and Muller.

    >>> noise = GaussianNoise(sigma=0.1, seed=1)
    >>> asked = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    >>> torch.equal(noise(asked)[1:], noise(asked[1:]))
    True
    """

    type: Literal["gaussian-noise"] = "gaussian-noise"
    title = "Gaussian noise"
    strength_field = "sigma"
    grid = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    sigma: Annotated[float, Field(ge=0, le=1000)] = 0.1
    seed: Seed = 0

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: only for sigma = 0."""
        return self.sigma == 0

    def __call__(self, answers: Tensor) -> Tensor:
        """Perturb answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        if self.sigma == 0:
            return answers
        noisy = rows + self.sigma * normal(answers, self.seed)
        alone = torch.zeros_like(noisy).scatter(1, noisy.argmax(1, keepdim=True), 1.0)
        return normalised(torch.where((noisy > 0).any(1, keepdim=True), noisy.clamp_min(0), alone))


def normal(rows: Tensor, seed: int) -> Tensor:
    """Draw standard normal numbers, float64 `[N,K]`, each row's from the bits of that float32 row and the seed."""
    states = _hashed(rows, seed)
    first, second = (_uniform(states, draw, rows.shape[1]) for draw in (0, 1))
    return (-2 * first.log()).sqrt() * (2 * math.pi * second).cos()


def splitmix64(states: Tensor) -> Tensor:
    """Scramble int64 values, read as 64 bits without a sign: the output function of SplitMix64."""
    states = (states ^ _shifted(states, 30)) * _signed(0xBF58476D1CE4E5B9)
    states = (states ^ _shifted(states, 27)) * _signed(0x94D049BB133111EB)
    return states ^ _shifted(states, 31)


def _hashed(rows: Tensor, seed: int) -> Tensor:
    """One state for each row, int64 `[N,1]`: the sum over the classes of the scrambled bits, each at its own offset."""
    # Adding 0 gives -0.0, which is equal to 0.0, the same bits.
    bits = (rows + 0.0).contiguous().view(torch.int32).long()
    start = splitmix64(torch.tensor(seed, device=rows.device) + _signed(_GOLDEN))
    return splitmix64(start + splitmix64(bits + _multiples(0, rows)).sum(1, keepdim=True))


def _uniform(states: Tensor, draw: int, classes: int) -> Tensor:
    """Number `draw` of each class, float64 `[N,K]` in (0, 1], from the upper 53 bits of what follows the state."""
    steps = _multiples(draw * classes, states.expand(-1, classes))
    return (_shifted(splitmix64(states + steps), 11) + 1).double() * 2.0**-53


def _multiples(start: int, like: Tensor) -> Tensor:
    """(start + 1 ... start + K) times the golden ratio's odd number, int64 `[K]`, modulo 2^64."""
    return (torch.arange(like.shape[1], device=like.device) + start + 1) * _signed(_GOLDEN)


def _shifted(values: Tensor, count: int) -> Tensor:
    """Shift right by `count` bits and fill with zeros; `>>` alone fills with the sign."""
    return (values >> count) & ((1 << (64 - count)) - 1)


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
