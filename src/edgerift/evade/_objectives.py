"""What a search maximises: one number for each image, from the logits of the original and of the builds' twins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, TypeAlias

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from edgerift.errors import InputError, users_code
from edgerift.settings import ClassNumber, Settings

Objective: TypeAlias = Callable[[Tensor, tuple[Tensor, ...], Tensor], Tensor]
"""Logits `[N,K]` of the original, logits `[N,K]` of each build's twin, labels int64 `[N]`; to values `[N]`."""


class Diva(Settings):
    """p_original[y] - c * sum over the builds of p_build[y], on softmax probabilities.

    With one build this is the objective of Hao et al., "A Tale of Two Models: Constructing Evasive Attacks on Edge
    Models", MLSys 2022, https://arxiv.org/abs/2204.10933; `c` weighs fooling the build against keeping the original.

    >>> logits = torch.tensor([[0.0, 0.0]])
    >>> Diva(c=0.5)(logits, (logits,), torch.tensor([1]))
    tensor([0.2500])
    """

    type: Literal["diva"] = "diva"
    c: NonNegativeFloat = 1.0

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`."""
        kept = _probability(original, labels)
        return kept - self.c * sum(_probability(logits, labels) for logits in adapted)


class TargetedDiva(Settings):
    """p_original[y] - c * p_build[y] - weight * CE(target, p_build), summed over the builds: towards one wrong class.

    The targeted variant that the DIVA authors run on faces, with weight 100; success then asks that the build answers
    `target`.
    """

    type: Literal["targeted-diva"] = "targeted-diva"
    target: ClassNumber
    c: NonNegativeFloat = 1.0
    weight: NonNegativeFloat = 100.0

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`."""
        value = _probability(original, labels)
        wanted = torch.full_like(labels, self.target)
        for logits in adapted:
            value = value - self.c * _probability(logits, labels)
            value = value - self.weight * F.cross_entropy(logits, wanted, reduction="none")
        return value


class CrossEntropy(Settings):
    """CE(y, p_build), summed over the builds; the original is not looked at (PGD, Madry et al., ICLR 2018)."""

    type: Literal["cross-entropy"] = "cross-entropy"

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`; `original` may be empty."""
        return _total([F.cross_entropy(logits, labels, reduction="none") for logits in adapted])


class Margin(Settings):
    """max_{k != y} z_k - z_y of the builds' logits, clamped at `confidence` (Carlini and Wagner, S&P 2017).

    The original is not looked at.
    """

    type: Literal["margin"] = "margin"
    confidence: NonNegativeFloat = 1.0

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`; `original` may be empty."""
        return _total([(-margin(logits, labels)).clamp(max=self.confidence) for logits in adapted])


class PairMargin(Settings):
    """min(m_original, keep) - sum over the builds of max(m_build, -fool), with the margins m = z_y - max_{k != y} z_k.

    Either side stops pulling once it is satisfied: the original right by `keep`, the build wrong by `fool`, in logits.
    """

    type: Literal["pair-margin"] = "pair-margin"
    keep: NonNegativeFloat = 1.0
    fool: NonNegativeFloat = 1.0

    def __call__(self, original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """Compute the objective `[N]`."""
        kept = margin(original, labels).clamp(max=self.keep)
        return kept - sum(margin(logits, labels).clamp(min=-self.fool) for logits in adapted)

    @staticmethod
    def sides(original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute both margins `[N]`, the original's and that of the build that holds longest, without clamps."""
        holding = torch.stack([margin(logits, labels) for logits in adapted]).amax(0)
        return margin(original, labels), holding


class Custom(Settings):
    """Stands in an attack's description for a callable of the user's own, by its name."""

    type: Literal["custom"] = "custom"
    name: str


NamedObjective = Annotated[
    Diva | TargetedDiva | CrossEntropy | Margin | PairMargin | Custom, Field(discriminator="type")
]


def name_of(objective: Objective) -> str:
    """Give the name of a callable of the user's own."""
    name: str = getattr(objective, "__qualname__", type(objective).__qualname__)
    return name


def guarded(objective: Objective) -> Objective:
    """Word what a callable of the user's own raises in one line, as an :class:`~edgerift.errors.InputError`."""

    def called(original: Tensor, adapted: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        call = "as objective(original, adapted, labels): logits [N,K], a tuple of such, int64 [N]; to values [N]"
        with users_code(f"objective '{name_of(objective)}'", call, InputError):
            return objective(original, adapted, labels)

    return called


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute z_y - max_{k != y} z_k `[N]` of logits `[N,K]`: positive where the label wins.

    >>> margin(torch.tensor([[1.0, 3.0, 2.5]]), torch.tensor([1]))
    tensor([0.5000])
    """
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], float("-inf"))
    return own[:, 0] - others.amax(1)


def _probability(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.softmax(1).gather(1, labels[:, None])[:, 0]


def _total(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum(0)
