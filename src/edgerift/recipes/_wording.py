"""One line of plain words for what pydantic found wrong."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgerift.errors import unknown_name

SHOWN_ERRORS = 3
SHOWN_CHARACTERS = 60


def wording(model: type[BaseModel], error: ValidationError) -> str:
    """Word a failed validation of `model` in one line: field path, value given, what is allowed."""
    details = error.errors(include_url=False)
    lines = [_one(model, detail) for detail in details[:SHOWN_ERRORS]]
    more = len(details) - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more else "")


def problems(model: type[BaseModel], content: object) -> list[tuple[tuple[int | str, ...], str]]:
    """List what `model` does not allow of `content`: where each value stands, and a line about it; [] for nothing."""
    try:
        model.__pydantic_validator__.validate_python(content)
    except ValidationError as error:
        details = error.errors(include_url=False)
        return [(detail["loc"], _one(model, detail).removeprefix(f"{model.__name__}.")) for detail in details]
    return []


def _one(model: type[BaseModel], detail: ErrorDetails) -> str:
    location, given, kind = detail["loc"], detail["input"], detail["type"]
    path = _path(model, location)
    if kind == "extra_forbidden":
        owner = _path(model, location[:-1])
        return f"{owner}: {unknown_name('field', str(location[-1]), _fields_beside(model, location))}"
    if kind == "missing":
        return f"{path} is missing; it has no default and must be given"
    if kind == "json_invalid":
        return f"{path}: this is not JSON: {_rule(detail)}"
    near = _near_match(given, detail) if kind == "literal_error" else ""
    return f"{path} is {_short(given)}; it {_rule(detail)}{near}"


def _path(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return model.__name__ + "".join(parts)


def _rule(detail: ErrorDetails) -> str:
    """The rule in pydantic's message, without its opening words and on one line."""
    text = " ".join(detail["msg"].split())
    for opening, instead in {
        "Input should be ": "must be ",
        "Input should ": "must ",
        "Value error, ": "is not allowed: ",
        "Assertion failed, ": "is not allowed: ",
        "Invalid JSON: ": "",
    }.items():
        if text.startswith(opening):
            return instead + text.removeprefix(opening)
    return f"is not allowed: {text}"


def _short(given: object) -> str:
    text = " ".join(repr(given).split())
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _near_match(given: object, detail: ErrorDetails) -> str:
    allowed = str(detail.get("ctx", {}).get("expected", "")).split("'")[1::2]
    near = difflib.get_close_matches(str(given), allowed, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else ""


def _fields_beside(model: type[BaseModel], location: tuple[int | str, ...]) -> set[str]:
    """The fields that are allowed where `location` ends.

    A location also holds indices of tuples, keys of mappings and tags of unions; those lead to no other model
    and are passed over.
    """
    owners = [model]
    for part in location[:-1]:
        below = (owner.model_fields[part].annotation for owner in owners if part in owner.model_fields)
        owners = [found for annotation in below for found in _models_in(annotation)] or owners
    return {name for owner in owners for name in owner.model_fields}


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
