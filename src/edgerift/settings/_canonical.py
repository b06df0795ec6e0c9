"""The one text of a value: equal values have equal text, in every process and on every machine."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_jsonable_python

from edgerift.errors import RecipeError

_AS_THEY_ARE: Final = frozenset({str, int, bool})


def canonical_json(value: object) -> str:
    """Write a value as JSON with sorted keys, no spaces, floats by `repr` and all defaults written out.

    A model is written by the fields it has, not by the type its place was declared with, so nothing of a
    subclass is lost. A field marked `Field(exclude=True)`, such as a device, that cannot change the result,
    is left out, and so is one with `exclude_if` where that says so: a field that came later keeps the names
    of what was made before. Sets are sorted. Raises `RecipeError` for NaN, infinity, and values that have no JSON.

    >>> canonical_json({"b": (1, 2.0), "a": {"y", "x"}})
    '{"a":["x","y"],"b":[1,2.0]}'
    """
    return _text(_plain(value))


def _text(plain: object) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: Any) -> Any:
    # Most values are of these types, and a study writes hundreds of thousands of them.
    if value is None or type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, BaseModel):
        return {
            name: _plain(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if not field.exclude and (field.exclude_if is None or not field.exclude_if(getattr(value, name)))
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=_text)
    return _leaf(value)


def _key(key: object) -> str:
    leaf = _leaf(key)
    return leaf if isinstance(leaf, str) else json.dumps(leaf)


def _leaf(value: object) -> str | int | float | bool | None:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RecipeError(f"a recipe holds {value!r}; its numbers must be finite")
        return float(value) + 0.0  # Adding zero turns -0.0, which equals 0.0, into the same text.
    try:
        plain = to_jsonable_python(value)
    except PydanticSerializationError:
        plain = value
    if plain is None or isinstance(plain, str | int | float | bool):
        return plain
    raise RecipeError(
        f"a recipe holds a value of type {type(value).__name__}, which has no JSON; "
        "its fields may hold numbers, text, paths, enumerations, tuples, mappings and settings"
    )
