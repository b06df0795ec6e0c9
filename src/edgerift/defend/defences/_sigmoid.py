"""Defences that push every probability back along a reverse sigmoid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias, final

from pydantic import Field, PositiveFloat

from edgerift._lazy import later
from edgerift.defend._answer_defence import AnswerDefence, defence
from edgerift.defend._rows import checked, normalised, with_top

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = later("torch")

Form: TypeAlias = Literal["exact", "clamped-odds"]
"""How the logit of a probability is computed: exactly, or with its odds clipped to [1e-12, 1 - 1e-12]."""

Amplitude: TypeAlias = Annotated[float, Field(ge=0, le=1000)]

_ODDS_FLOOR = 1e-12


@final
@defence
class ReverseSigmoid(AnswerDefence):
    """Answer (p - r) / sum(p - r) with r = beta * (sigmoid(gamma * logit(p)) - 1/2).

    Lee et al. 2018, "Defending Against Machine Learning Model Stealing Attacks Using Deceptive Perturbations",
    https://arxiv.org/abs/1806.00054. `beta` is the strength, 0 the identity; a `gamma` below 1 flattens r, so that
    answers of very different confidence become similar.

    p - r is at least 0 for every row when beta <= 1, and for gamma <= 1 when beta <= 2. Beyond that, negative values
    count as 0 before the division; the least likely class always stays positive.

    The form "clamped-odds" is that of the code published with GRAD2 and Deception: it clips the odds p / (1 - p)
    to [1e-12, 1 - 1e-12], so a probability over 1/2 is not reduced, only divided by a larger sum.

    >>> ReverseSigmoid(beta=0.5)(torch.tensor([[0.97, 0.02, 0.01]]))
    tensor([[0.7939, 0.1009, 0.1052]])
    """

    type: Literal["reverse-sigmoid"] = "reverse-sigmoid"
    title = "Reverse Sigmoid"
    strength_field = "beta"
    grid = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
    beta: Amplitude = 0.1
    gamma: PositiveFloat = 0.2
    form: Form = "exact"

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label for any number of classes: beta = 0, or gamma >= 1 > beta gamma.

        For a gamma below 1 it depends on the number of classes: :meth:`keeps_argmax_among`.
        """
        return self.beta == 0 or (self.gamma >= 1 and self.beta * self.gamma < 1)

    def keeps_argmax_among(self, classes: int) -> bool:
        """Whether every row of `classes` classes keeps its top-1 label.

        A row is divided by one number, so the label is kept when h(q) = q - beta s(q), s(q) = sigmoid(gamma
        logit(q)), is largest at the largest probability m. For gamma >= 1, s is steepest at 1/2, with slope gamma, so h
        grows everywhere when beta gamma < 1. For gamma < 1, s is concave below 1/2 and infinitely steep at 0, where h
        falls: a class of probability 0 may overtake. It is nearest to that on the smallest m beside a 0, which is
        1 / (classes - 1), or 1/2 for two classes; there h(0) < h(m) requires beta < m / s(m). For the exact form a
        larger beta does change the label of some row; the clamped odds only make r smaller.
        """
        if self.keeps_argmax or self.gamma >= 1:
            return self.keeps_argmax
        smallest = 1 / max(2, classes - 1)
        odds_to_gamma = (smallest / (1 - smallest)) ** self.gamma
        return bool(self.beta * odds_to_gamma / (1 + odds_to_gamma) < smallest)

    def __call__(self, answers: Tensor) -> Tensor:
        """Perturb answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        if self.beta == 0:
            return answers
        defended = normalised((rows - _reverse(rows, self.beta, self.gamma, self.form)).clamp_min(0))
        return with_top(defended, rows) if self.keeps_argmax_among(rows.shape[1]) else defended


@final
@defence
class Deception(AnswerDefence):
    """Answer (p - a r) / sum(p - a r), where a = sigmoid(nu * (beta - max p)) picks the answers to perturb.

    r is that of :class:`ReverseSigmoid` with the same `beta`, which is both amplitude and threshold: an answer whose
    highest probability is over `beta` is unchanged, one below is perturbed in full; `nu` sets the steepness.
    Every answer is below a beta over 1, so the distance jumps there. 0 is the identity. Negative values count as 0
    before the division. The label may change.

    Khaled et al. 2023, "Efficient Defense Against Model Stealing Attacks on Convolutional Neural Networks" (DCP),
    https://arxiv.org/abs/2309.01838. `form` and `nu` are those of its code, which sets `gamma` to 0.1 for CIFAR-100.

    >>> Deception(beta=0.9)(torch.tensor([[0.97, 0.02, 0.01], [0.6, 0.3, 0.1]]))
    tensor([[0.9700, 0.0200, 0.0100],
            [0.5285, 0.2977, 0.1738]])
    """

    type: Literal["deception"] = "deception"
    title = "Deception"
    strength_field = "beta"
    grid = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)
    beta: Amplitude = 0.9
    gamma: PositiveFloat = 0.2
    nu: PositiveFloat = 1000.0
    form: Form = "clamped-odds"

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: only for beta = 0."""
        return self.beta == 0

    def __call__(self, answers: Tensor) -> Tensor:
        """Perturb answers float32 `[N,K]`; raises `InputError` for other shapes and rows off the simplex."""
        rows = checked(answers)
        if self.beta == 0:
            return answers
        chosen = torch.sigmoid(self.nu * (self.beta - rows.amax(1, keepdim=True)))
        return normalised((rows - chosen * _reverse(rows, self.beta, self.gamma, self.form)).clamp_min(0))


def _reverse(rows: Tensor, beta: float, gamma: float, form: Form) -> Tensor:
    """r of the reverse sigmoid, float64 `[N,K]` in [-beta/2, beta/2]: finite, though the odds of 1 are infinite."""
    rows = rows.clamp_max(1)  # The checked rows may exceed 1 within the tolerance.
    odds = rows / (1 - rows)
    if form == "clamped-odds":
        odds = odds.clamp(_ODDS_FLOOR, 1 - _ODDS_FLOOR)
    return beta * (torch.sigmoid(gamma * odds.log()) - 0.5)
