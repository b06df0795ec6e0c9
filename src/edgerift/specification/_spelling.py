"""Specifications in one line, as an option takes them: `mean=imagenet,std=imagenet,layout=nhwc`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from edgerift.errors import RecipeError, unknown_name
from edgerift.settings import Settings
from edgerift.specification._input import InputSpecification
from edgerift.specification._normalisations import name_of
from edgerift.specification._output import OutputSpecification
from edgerift.specification._quantization import Quantization
from edgerift.specification._specification import Specification

_PARTS: Final[dict[str, type[Settings]]] = {"input": InputSpecification, "output": OutputSpecification}
_NORMALISING: Final = ("mean", "std")


def parse_specification(text: str) -> Specification:
    """Read a specification from one line of `field=value`, separated by commas.

    A field that both input and output have is the input's, unless it is written `output.name`. Several numbers are
    separated by commas too, and a quantization is its scale and its zero point. Raises `RecipeError`.

    >>> parse_specification("layout=nhwc,mean=0.5,0.4,0.3,kind=probabilities").input.mean
    (0.5, 0.4, 0.3)
    """
    content: dict[str, dict[str, Any]] = {part: {} for part in _PARTS}
    for key, values in _fields(text):
        part, name = _place(key)
        if name in content[part]:
            raise RecipeError(f"'{text}' gives {key} twice; keep one of them")
        content[part][name] = _value(name, values)
    return Specification.model_validate({part: fields for part, fields in content.items() if fields})


def spelled(specification: Specification) -> str:
    """Write a specification as `parse_specification` reads it; "" for the default.

    >>> spelled(Specification(input={"mean": "imagenet", "scale": None}, output={"background": "first"}))
    'mean=imagenet,background=first'
    """
    parts = []
    for part, kind in _PARTS.items():
        given = getattr(specification, part)
        for name, declared in kind.model_fields.items():
            value = getattr(given, name)
            if value != declared.default:
                parts.append(f"{_key(part, name)}={_written(name, value)}")
    return ",".join(parts)


def _fields(text: str) -> Iterator[tuple[str, list[str]]]:
    """Split a line into its fields; what has no `=` is one more value of the field before it."""
    key, values = "", list[str]()
    for word in text.split(","):
        name, equals, value = (part.strip() for part in word.partition("="))
        if equals:
            if key:
                yield key, values
            key, values = name, [value]
        elif key:
            values.append(name)
        else:
            raise RecipeError(f"'{text}' does not begin with field=value; write it such as mean=imagenet,std=imagenet")
    yield key, values


def _place(key: str) -> tuple[str, str]:
    """Find the part and the field that a key names."""
    for part, kind in _PARTS.items():
        if key in kind.model_fields:
            return part, key
        if key.startswith(f"{part}.") and key.removeprefix(f"{part}.") in kind.model_fields:
            return part, key.removeprefix(f"{part}.")
    known = {_key(part, name) for part, kind in _PARTS.items() for name in kind.model_fields}
    raise RecipeError(unknown_name("field of a specification", key, known))


def _key(part: str, name: str) -> str:
    shared = part == "output" and name in InputSpecification.model_fields
    return f"{part}.{name}" if shared else name


def _value(name: str, values: list[str]) -> Any:
    read = [_number(value) for value in values]
    if name == "quantization":
        return dict(zip(("scale", "zero_point", "third"), read, strict=False))
    return read[0] if len(read) == 1 else read


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _written(name: str, value: Any) -> str:
    if isinstance(value, Quantization):
        return f"{value.scale:g},{value.zero_point}" if float(f"{value.scale:g}") == value.scale else _exactly(value)
    if isinstance(value, tuple):
        named = name_of(value, name) if name in _NORMALISING else ""
        return named or ",".join(f"{number:g}" if float(f"{number:g}") == number else repr(number) for number in value)
    return str(value)


def _exactly(value: Quantization) -> str:
    return f"{value.scale!r},{value.zero_point}"
