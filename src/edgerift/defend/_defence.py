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

Defence: TypeAlias = Annotated[
    ReverseSigmoid | Deception | Rounding | TopK | LabelOnly | GaussianNoise | Temperature,
    Field(discriminator="name"),
]
"""What changes answers float32 `[N,K]` into others; in JSON the field `name` tells which it is."""


def defended(answers: Tensor, defences: Sequence[Defence]) -> Tensor:
    """Pass answers float32 `[N,K]` through the defences in their order; none is the identity.

    Raises `InputError` for other shapes and for rows off the simplex, those between two defences included.

    >>> import torch
    >>> defended(torch.tensor([[0.6, 0.3, 0.1]]), [TopK(k=2), Rounding(decimals=1)])
    tensor([[0.7000, 0.3000, 0.0000]])
    """
    checked(answers)
    for defence in defences:
        answers = defence(answers)
    return answers
