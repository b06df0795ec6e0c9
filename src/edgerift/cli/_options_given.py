"""From the arguments of a verb to its settings, and one line for what is wrong with them."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from typing import Any, Final

import tyro

from edgerift.cli._fields import Command, flags_of
from edgerift.cli._refusals import refusal, unknown_option
from edgerift.cli._verbs import RENAMED, parsed_type
from edgerift.errors import InputError, RecipeError

#: A field of the options as errors name it, such as `AdaptOptions.adapt_epochs`.
_FIELD: Final = re.compile(r"^[A-Z]\w*\.([a-z0-9_]+)")


def parsed(name: str, kind: type[Command], given: Sequence[str]) -> Command | None:
    """Turn the arguments of a verb into its settings; raises :class:`~edgerift.errors.InputError` for wrong ones."""
    words = _renewed(given, flags_of(kind))
    if unknown := unknown_option(name, kind, words):
        raise InputError(unknown)
    try:
        return _asked(kind, f"edgerift {name}", words)
    except _RefusedError as refused:
        raise InputError(refusal(name, kind, words, str(refused))) from None
    except RecipeError as error:
        raise InputError(_FIELD.sub(lambda found: "--" + found[1].replace("_", "-"), str(error))) from None


def completed(given: Sequence[str]) -> Command | None:
    """Do what the parser itself has options for, such as the completions of a shell; the verbs are all it needs."""
    try:
        return _asked(parsed_type(), "edgerift", given)
    except _RefusedError as refused:
        raise InputError(str(refused)) from None


class _RefusedError(Exception):
    """What the parser says, in a frame of its own."""


def _asked(kind: Any, program: str, given: Sequence[str]) -> Command | None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found: Command = tyro.cli(
                kind,
                prog=program,
                args=list(given),
                add_help=False,
                config=(tyro.conf.UseAppendAction, tyro.conf.HelptextFromCommentsOff),
            )
            return found
    except SystemExit as stop:
        if not stop.code:
            return None
        raise _RefusedError(said.getvalue()) from None


def _renewed(given: Sequence[str], known: set[str]) -> list[str]:
    """Bring options with earlier names up to date, and say so on standard error."""
    words = []
    for word in given:
        flag, equals, value = word.partition("=")
        new = RENAMED.get(flag.replace("_", "-"), "")
        if new in known and flag not in known:
            sys.stderr.write(f"note: {flag} is now called {new}\n")
            word = f"{new}{equals}{value}"
        words.append(word)
    return words
