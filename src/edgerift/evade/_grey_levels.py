"""Sizes in grey levels, distinguished from the fractions of 255 that other toolkits take."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, Field

_LEVELS: Final = 255
_SHARE: Final = re.compile(r"\s*([0-9.]+)\s*/\s*([0-9.]+)\s*")


def meant(given: object) -> str:
    """Suggest the whole grey levels that a number may mean: of 255 for a fraction, else the nearest; "" for none.

    >>> meant(0.0314), meant("8/255"), meant(0.3), meant(8.5), meant(8), meant("far")
    ('8', '8', '76 or 77', '8 or 9', '', '')
    """
    number = _number(given)
    if number is None or not 0 < number <= _LEVELS or number == int(number):
        return ""
    levels = number * _LEVELS if number < 1 else number
    nearest = round(levels)
    if nearest and (number < 1 and abs(levels - nearest) < 0.25):
        return str(nearest)
    low, high = math.floor(levels), math.ceil(levels)
    return f"{low} or {high}" if low else str(high)


def _number(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    share = _SHARE.fullmatch(given) if isinstance(given, str) else None
    try:
        return float(share[1]) / float(share[2]) if share else float(given)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def _whole(given: Any) -> Any:
    levels = meant(given)
    if levels:
        raise ValueError(f"it counts whole grey levels, 0 to {_LEVELS}; did you mean {levels}?")
    return given


GreyLevels: TypeAlias = Annotated[int, Field(ge=0, le=_LEVELS), BeforeValidator(_whole)]
"""How far a pixel may move: whole grey levels, 0 to 255."""
