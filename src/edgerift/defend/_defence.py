"""The union of all registered defences, and chains of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias, Union

from pydantic import BeforeValidator, Field
from torch import Tensor

from edgerift.defend._answer_defence import DEFENCES, AnswerDefence, SeeingDefence
from edgerift.defend._rows import checked
from edgerift.errors import InputError, users_code
from edgerift.settings import Settings, typed

if TYPE_CHECKING:
    Defence: TypeAlias = AnswerDefence
else:
    Defence = Annotated[Union[(*DEFENCES.parts(),)], Field(discriminator="type"), BeforeValidator(typed)]
"""Any output defence, which perturbs answers float32 `[N,K]`; in JSON it is identified by the field `type`."""


def checked_chain(defence: Defence | Sequence[Defence]) -> tuple[Defence, ...]:
    """Make a chain of one defence or several; raises `InputError` for anything that is not a defence.

    >>> from edgerift.defend import TopK
    >>> checked_chain(TopK(k=2))
    (TopK(type='top-k', k=2, renormalise=True),)
    """
    chain = tuple(defence) if isinstance(defence, Sequence) else (defence,)
    for one in chain:
        if not (isinstance(one, Settings) and callable(one)):
            raise InputError(
                f"{_named(one)} is not a defence; pass one of edgerift.defend, or a frozen Settings of your own "
                "that can be called with answers float32 [N,K]"
            )
    return chain


def defended(answers: Tensor, defences: Sequence[Defence], images: Tensor | None = None) -> Tensor:
    """Apply the defences to answers float32 `[N,K]`, in order; an empty chain is the identity.

    `images` `[N,C,H,W]` are what was answered; only a defence that `sees` them needs them.

    Raises `InputError` for other shapes, for rows off the simplex (also between two defences), and for a user-defined
    defence that raises or returns anything but answers.

    >>> import torch
    >>> from edgerift.defend import Rounding, TopK
    >>> defended(torch.tensor([[0.6, 0.3, 0.1]]), [TopK(k=2), Rounding(decimals=1)])
    tensor([[0.7000, 0.3000, 0.0000]])
    """
    checked(answers)
    for defence in defences:
        given = answers
        with users_code(f"defence {_named(defence)}", "with answers float32 [N,K], for others like them", InputError):
            answers = defence(given, images) if isinstance(defence, SeeingDefence) else defence(given)
        if not isinstance(answers, Tensor) or answers.shape != given.shape or answers.dtype != given.dtype:
            raise InputError(
                f"defence {_named(defence)} did not return float32 {list(given.shape)}, the shape of its input"
            )
    return answers


def _named(defence: object) -> str:
    return getattr(defence, "__qualname__", type(defence).__qualname__)
