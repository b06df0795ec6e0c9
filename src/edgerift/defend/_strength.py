"""The strength of each defence, as one number."""

from __future__ import annotations

from typing import Any

from edgerift.defend._answer_defence import DEFENCES
from edgerift.defend._defence import Defence
from edgerift.errors import RecipeError


def strengths(name: str) -> tuple[float, ...]:
    """List the strengths to sweep, the weakest first.

    The strength is the defence's `strength_field`, such as `beta` of "reverse-sigmoid" (the grid of GRAD2) and of
    "deception" (its authors' grid). For "rounding" and "top-k", smaller is stronger. A defence without such a field,
    e.g. "label-only", is all or nothing: its only strength is 1. Raises `RecipeError` for an unknown name.

    >>> strengths("rounding")
    (6, 5, 4, 3, 2, 1, 0)
    """
    return DEFENCES[name].grid


def with_strength(name: str, strength: float, **fields: Any) -> Defence:
    """Make the defence of that name and strength, as :func:`strengths` explains it, with its other fields.

    Raises `RecipeError` for an unknown name or field and for a value that is not allowed.

    >>> with_strength("top-k", 3, renormalise=False)
    TopK(type='top-k', k=3, renormalise=False)
    """
    chosen = DEFENCES[name]
    field = chosen.strength_field
    if field in fields:
        raise RecipeError(f"'{field}' of '{name}' is its strength; pass it once, as the strength")
    if field is None:
        if strength != 1:
            raise RecipeError(f"'{name}' with strength {strength!r}; it is all or nothing, so its strength is 1")
        return chosen(**fields)
    return chosen(**{field: strength}, **fields)


def strength_of(defence: Defence) -> float:
    """Return a defence's strength, as passed to :func:`with_strength`.

    >>> from edgerift.defend import TopK
    >>> strength_of(TopK(k=3))
    3.0
    """
    field = defence.strength_field
    return 1.0 if field is None else float(getattr(defence, field))
