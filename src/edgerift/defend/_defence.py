"""The union of all defences, and chains of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from pydantic import Field
from torch import Tensor

from edgerift.defend._coarser import LabelOnly, Rounding, Temperature, TopK
from edgerift.defend._noise import GaussianNoise
from edgerift.defend._rows import checked
from edgerift.defend._sigmoid import Deception, ReverseSigmoid
from edgerift.errors import InputError, users_code
from edgerift.settings import Settings

Defence: TypeAlias = Annotated[
    ReverseSigmoid | Deception | Rounding | TopK | LabelOnly | GaussianNoise | Temperature,
    Field(discriminator="name"),
]
"""What changes answers float32 `[N,K]` into others; in JSON the field `name` tells which it is."""


def checked_chain(defence: Defence | Sequence[Defence]) -> tuple[Defence, ...]:
    """Make a chain of one defence or several; raises `InputError` for anything that is no defence.

    >>> checked_chain(TopK(k=2))
    (TopK(name='top-k', k=2, renormalise=True),)
    """
    chain = tuple(defence) if isinstance(defence, Sequence) else (defence,)
    for one in chain:
        if not (isinstance(one, Settings) and callable(one)):
            raise InputError(
                f"{_named(one)} is no defence; give one of edgerift.defend, or a frozen Settings of your own "
                "that is called with answers float32 [N,K]"
            )
    return chain


def defended(answers: Tensor, defences: Sequence[Defence]) -> Tensor:
    """Pass answers float32 `[N,K]` through the defences in their order; none is the identity.

    Raises `InputError` for other shapes, for rows off the simplex, those between two defences included, and for what a
    defence of the user's own raises or answers instead of answers.

    >>> import torch
    >>> defended(torch.tensor([[0.6, 0.3, 0.1]]), [TopK(k=2), Rounding(decimals=1)])
    tensor([[0.7000, 0.3000, 0.0000]])
    """
    checked(answers)
    for defence in defences:
        given = answers
        with users_code(f"defence {_named(defence)}", "with answers float32 [N,K], for others like them", InputError):
            answers = defence(given)
        if not isinstance(answers, Tensor) or answers.shape != given.shape or answers.dtype != given.dtype:
            raise InputError(f"defence {_named(defence)} answered no float32 {list(given.shape)}, as it was given")
    return answers


def _named(defence: object) -> str:
    return getattr(defence, "__qualname__", type(defence).__qualname__)
