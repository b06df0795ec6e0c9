"""One line of plain words for what pydantic found wrong."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from edgerift.errors import unknown_name

SHOWN_ERRORS = 3
SHOWN_CHARACTERS = 60

#: What pydantic says in the terms of its own checks; the rest of its messages need only another opening.
_RULES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a valid integer"),
    "int_parsing_size": "must be an integer of fewer digits",
    **dict.fromkeys(("float_parsing", "float_type"), "must be a valid number"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "string_type": "must be text",
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "must be a mapping"),
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
}
_THINGS: Final[Mapping[str, str]] = {"too_short": "item", "string_too_short": "character"}

#: So alike are two names, from 0 to 1, when one is offered for the other: two of three letters.
_NEAR: Final = 0.6

#: Where a value stands: the fields, keys and numbers that lead to it.
Place: TypeAlias = tuple[int | str, ...]


class Problem(NamedTuple):
    """One value that is not allowed: its place, what the line names (for an unknown field its owner), and the rest."""

    place: Place
    named: Place
    rest: str

    @property
    def text(self) -> str:
        """The whole line, with the path from the value that was checked."""
        return (_path(self.named) + self.rest).removeprefix(".").removeprefix(":").strip()

    def below(self, place: Place) -> Problem:
        """Say the same of a value that stands at `place` in another one."""
        return Problem(place + self.place, place + self.named, self.rest)


class NotAllowedError(ValueError):
    """What a validator raises about values inside the one that it checks, so that each is named at its own place."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Take what is not allowed, with places in the value that is checked."""
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.text for problem in self.problems))


def wording(model: type[BaseModel], error: ValidationError) -> str:
    """Word a failed validation of `model` in one line: field path, value given, what is allowed."""
    found = _problems(model, error)
    lines = [model.__name__ + _path(problem.named) + problem.rest for problem in found[:SHOWN_ERRORS]]
    more = len(found) - len(lines)
    return "; ".join(lines) + (f"; and {more} more" if more else "")


def problems(model: type[BaseModel], content: object) -> list[Problem]:
    """List what `model` does not allow of `content`; [] for nothing."""
    try:
        model.__pydantic_validator__.validate_python(content)
    except ValidationError as error:
        return _problems(model, error)
    return []


def _problems(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    details = [detail for detail in error.errors(include_url=False) if not _follows(detail)]
    return [problem for detail in details for problem in _each(model, detail)]


def _follows(detail: ErrorDetails) -> bool:
    """Tell whether a list is only too short because its wrong items, which are told themselves, were not counted."""
    given = detail["input"]
    is_list = isinstance(given, list | tuple | Mapping)
    return detail["type"] == "too_short" and is_list and len(given) >= int(detail["ctx"]["min_length"])


def _each(model: type[BaseModel], detail: ErrorDetails) -> Iterable[Problem]:
    place, given, kind = detail["loc"], detail["input"], detail["type"]
    inner = detail.get("ctx", {}).get("error")
    if isinstance(inner, NotAllowedError):
        return [problem.below(place) for problem in inner.problems]
    if kind == "extra_forbidden":
        known = _fields_beside(model, place)
        return [Problem(place, place[:-1], f": {unknown_name('field', _printable(place[-1]), known)}")]
    if kind == "missing":
        return [Problem(place, place, " is missing; it has no default and must be given")]
    if kind == "union_tag_invalid":
        tag = detail["ctx"]["discriminator"].strip("'")
        inside = (*place, tag)
        allowed = detail["ctx"]["expected_tags"].split("'")[1::2]
        told = f" is '{_printable(detail['ctx']['tag'])}'; it must be {_one_of(allowed)}"
        return [Problem(inside, inside, told + _near(detail["ctx"]["tag"], allowed))]
    if kind == "json_invalid":
        told = " ".join(detail["msg"].split()).removeprefix("Invalid JSON: ")
        return [Problem(place, place, f": this is not JSON: {told}")]
    if kind == "value_error" and isinstance(given, BaseModel | Mapping):
        # The values are many, and the rule itself says which of them it is about.
        return [Problem(place, place, f": {' '.join(str(inner).split())}")]
    near = _near_match(given, detail) if kind == "literal_error" else ""
    return [Problem(place, place, f" is {_short(given)}; it {_rule(detail)}{near}")]


def _path(place: Place) -> str:
    # pydantic's own mark for a key that is not allowed adds nothing: the key is what stands before it.
    parts = [part for part in place if part != "[key]"]
    return "".join(f"[{part}]" if isinstance(part, int) else f".{_printable(part)}" for part in parts)


def _printable(part: int | str) -> str:
    """A key as a line can hold it: a file may have any text in its place."""
    text = str(part)
    text = text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
    return text if text.isprintable() else repr(text)[1:-1]


def _rule(detail: ErrorDetails) -> str:
    """The rule that the value breaks, in words that need no knowledge of the checks."""
    kind, text = detail["type"], " ".join(detail["msg"].split())
    if kind in _RULES:
        return _RULES[kind]
    if kind in _THINGS:
        least = detail["ctx"]["min_length"]
        return f"must have at least {least} {_THINGS[kind]}{'' if least == 1 else 's'}"
    if kind == "union_tag_not_found":
        return f"must have the field {detail['ctx']['discriminator']}, which says what it is"
    for opening in ("Value error, ", "Assertion failed, "):
        if text.startswith(opening):
            return f"is not allowed: {text.removeprefix(opening)}"
    ruled = re.sub(r"^(Input|String|Tuple|List|Set|Dictionary|Value) should ", "must ", text)
    return ruled if ruled != text else f"is not allowed: {text}"


def _short(given: object) -> str:
    try:
        text = " ".join(repr(given).split())
    except (ValueError, RecursionError):
        return f"a value of type {type(given).__name__} that is too large to show"
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"


def _near_match(given: object, detail: ErrorDetails) -> str:
    return _near(given, str(detail.get("ctx", {}).get("expected", "")).split("'")[1::2])


def _near(given: object, allowed: list[str]) -> str:
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=_NEAR) if isinstance(given, str) else []
    return f"; did you mean '{near[0]}'?" if near else ""


def _one_of(names: list[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return " or ".join(part for part in (", ".join(quoted[:-1]), quoted[-1]) if part)


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
