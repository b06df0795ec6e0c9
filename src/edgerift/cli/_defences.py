"""Defences as the command line writes them: `reverse-sigmoid:beta=0.1,gamma=0.2`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from edgerift import defend
from edgerift.errors import InputError, RecipeError, unknown_name
from edgerift.settings import Registry

#: A field as errors name it, such as `ReverseSigmoid.beta`.
_FIELD: Final = re.compile(r"\b[A-Z]\w*\.(?=[a-z])")


class Written(NamedTuple):
    """A defence as it was written: its name, and the settings that were given, not checked yet."""

    name: str
    settings: dict[str, str]


def read_defence(text: str) -> defend.Defence:
    """Read a defence with its settings, those that are not given at their defaults.

    Raises :class:`~edgerift.errors.InputError` for a name or a setting that is not known, or a value not allowed.

    >>> read_defence("reverse-sigmoid:beta=0.5")
    ReverseSigmoid(type='reverse-sigmoid', beta=0.5, gamma=0.2, form='exact')
    """
    written = split_defence(text)
    try:
        return defend.DEFENCES[written.name].model_validate(written.settings)
    except RecipeError as error:
        raise _worded(text, error) from None


def read_swept(text: str, grid: Sequence[float] | None) -> Written:
    """Read a defence whose strength is swept, over `grid` or its published strengths.

    Raises :class:`~edgerift.errors.InputError` also for a strength that it does not take, or that was given.
    """
    written = split_defence(text)
    try:
        for strength in defend.strengths(written.name) if grid is None else grid:
            defend.with_strength(written.name, strength, **written.settings)
    except RecipeError as error:
        raise _worded(text, error) from None
    return written


def _worded(text: str, error: RecipeError) -> InputError:
    """Name the option in place of the class."""
    return InputError(f"--defence {text}: {_FIELD.sub('', str(error))}")


def read_monitor(text: str) -> defend.Monitor:
    """Read a monitor with its settings, written as a defence is; raises as :func:`read_defence` does.

    >>> read_monitor("prada:threshold=0.9").threshold
    0.9
    """
    written = _split(text, defend.MONITORS, "--monitor")
    try:
        return defend.MONITORS[written.name].model_validate(written.settings)
    except RecipeError as error:
        raise InputError(f"--monitor {text}: {_FIELD.sub('', str(error))}") from None


def split_defence(text: str) -> Written:
    """Split a defence into its name and its settings; raises :class:`~edgerift.errors.InputError` as above."""
    return _split(text, defend.DEFENCES, "--defence")


def _split(text: str, known_parts: Registry[Any], option: str) -> Written:
    name, _, rest = (piece.strip() for piece in text.partition(":"))
    if name not in known_parts:
        raise InputError(unknown_name(known_parts.kind, name, known_parts.names()))
    settings: dict[str, str] = {}
    known = [field for field in known_parts[name].model_fields if field != "type"]
    for part in filter(None, (part.strip() for part in rest.split(","))):
        field, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not value:
            raise InputError(f"{option} {text}: '{part}' is no setting; write NAME:SETTING=VALUE,SETTING=VALUE")
        if not known:
            raise InputError(f"{option} {text}: '{name}' has no settings; write {option} {name}")
        if field not in known:
            raise InputError(f"{option} {text}: {unknown_name('setting', field, known)}")
        if field in settings:
            raise InputError(f"{option} {text}: '{field}' is given twice; give it once")
        settings[field] = value
    return Written(name, settings)
