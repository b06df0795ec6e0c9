"""The one number of each defence that says how strong it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgerift.defend._coarser import LabelOnly, Rounding, Temperature, TopK
from edgerift.defend._defence import Defence
from edgerift.defend._noise import GaussianNoise
from edgerift.defend._sigmoid import Deception, ReverseSigmoid
from edgerift.errors import RecipeError, unknown_name


@dataclass(frozen=True, slots=True)
class Dial:
    """A defence's class, the field that is its strength (None for all or nothing), and a grid, the weakest first."""

    kind: type[Defence]
    field: str | None
    grid: tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Whether the strength is a whole number."""
        return self.field in ("decimals", "k")


_DIALS = {
    "reverse-sigmoid": Dial(
        ReverseSigmoid, "beta", (0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
    ),
    "deception": Dial(Deception, "beta", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)),
    "rounding": Dial(Rounding, "decimals", (6, 5, 4, 3, 2, 1, 0)),
    "top-k": Dial(TopK, "k", (1000, 100, 50, 20, 10, 5, 3, 2, 1)),
    "label-only": Dial(LabelOnly, None, (1.0,)),
    "gaussian-noise": Dial(GaussianNoise, "sigma", (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)),
    "temperature": Dial(Temperature, "value", (1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)),
}

DEFENCES: tuple[str, ...] = tuple(_DIALS)
"""The names of all defences."""


def dial(name: str) -> Dial:
    """Look up the strength of a defence; raises `RecipeError` for an unknown name."""
    if name not in _DIALS:
        raise RecipeError(unknown_name("defence", name, _DIALS))
    return _DIALS[name]


def strengths(name: str) -> tuple[float, ...]:
    """List the strengths to sweep, the weakest first.

    The strength is `beta` of "reverse-sigmoid" (the grid of GRAD2) and "deception" (its authors' grid), `sigma` of
    "gaussian-noise", `value` of "temperature", from 1 up. Of "rounding" it is `decimals` and of "top-k" `k`, whole
    numbers of which the smaller are stronger. "label-only" is all or nothing: its only strength is 1. Raises
    `RecipeError` for an unknown name.

    >>> strengths("rounding")
    (6, 5, 4, 3, 2, 1, 0)
    """
    return dial(name).grid


def with_strength(name: str, strength: float, **fields: Any) -> Defence:
    """Make the defence of that name and strength, as :func:`strengths` explains it, with its other fields.

    Raises `RecipeError` for an unknown name or field and for a value that is not allowed.

    >>> with_strength("top-k", 3, renormalise=False)
    TopK(name='top-k', k=3, renormalise=False)
    """
    chosen = dial(name)
    if chosen.field in fields:
        raise RecipeError(f"'{chosen.field}' of '{name}' is its strength; give it once, as the strength")
    if chosen.field is None:
        if strength != 1:
            raise RecipeError(f"'{name}' with strength {strength!r}; it is all or nothing, so its strength is 1")
        return chosen.kind(**fields)
    return chosen.kind(**{chosen.field: strength}, **fields)


def strength_of(defence: Defence) -> float:
    """Tell the strength that :func:`with_strength` gave a defence.

    >>> strength_of(TopK(k=3))
    3.0
    """
    field = dial(defence.name).field
    return 1.0 if field is None else float(getattr(defence, field))
