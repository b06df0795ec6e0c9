"""Bounds of the numbers that settings hold: what a machine can count and every library takes."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import Field

from edgerift.errors import RecipeError

#: The attacker has the next one, and PyTorch takes all below 2**63.
_LARGEST_SEED: Final = 2**63 - 2
_MOST: Final = 10**12
_MOST_TIMES: Final = 1_000_000

Seed: TypeAlias = Annotated[int, Field(ge=0, le=_LARGEST_SEED)]
"""What random numbers are drawn from."""
Count: TypeAlias = Annotated[int, Field(gt=0, le=_MOST)]
"""Of images or queries, at least one."""
Times: TypeAlias = Annotated[int, Field(gt=0, le=_MOST_TIMES)]
"""Of passes, steps and starts, at least one."""
TimesOrNone: TypeAlias = Annotated[int, Field(ge=0, le=_MOST_TIMES)]
"""Of passes, steps and starts, 0 for none."""
BatchSize: TypeAlias = Annotated[int, Field(gt=0, le=_MOST_TIMES)]
"""Images that are computed together."""
Parts: TypeAlias = Annotated[int, Field(gt=0, le=4096)]
"""Of a layer or a machine: channels, devices, workers, networks."""
Threads: TypeAlias = Annotated[int, Field(ge=0, le=4096)]
"""Of a process, 0 for as many as there are cores."""
ClassNumber: TypeAlias = Annotated[int, Field(ge=0, le=_MOST_TIMES)]
"""The place of a class, from 0."""
LearningRate: TypeAlias = Annotated[float, Field(gt=0, le=1e30)]
"""How far a step of training goes."""


def require_seed(seed: int) -> int:
    """Return a seed; raises :class:`~edgerift.errors.RecipeError` unless it is from 0 to 2**63 - 2.

    >>> require_seed(7)
    7
    """
    if not 0 <= seed <= _LARGEST_SEED:
        raise RecipeError(f"seed is {seed}; it must be a whole number from 0 to {_LARGEST_SEED}")
    return seed
