"""From arguments to a verb: help where it is asked for, and one line for what is wrong."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Sequence
from typing import Final

import tyro

import edgerift
from edgerift.cli._fields import Command, Family, flags_of
from edgerift.cli._help import family_help, overview, show_help, verb_help
from edgerift.cli._refusals import refusal
from edgerift.cli._verbs import EXAMPLES, GROUPS, RENAMED, VERBS, parsed_type
from edgerift.errors import InputError, RecipeError, unknown_name

_HELP: Final = ("-h", "--help", "--help-all")

#: A field of the options as errors name it, such as `AdaptOptions.adapt_epochs`.
_FIELD: Final = re.compile(r"^[A-Z]\w*\.([a-z0-9_]+)")


def parse(given: Sequence[str]) -> Command | None:
    """Turn the arguments, of which there is one at least, into a verb, or None when they ask for help: it is shown.

    Raises :class:`~edgerift.errors.InputError` for arguments that are not known, not allowed or not text.
    """
    for text in given:
        _require_text(text)
    name, verb = _named(given)
    is_unknown = verb is None and not given[0].startswith("-")
    if not is_unknown and (asked := [word for word in given if word in _HELP]):
        show_help(_help(name, verb, whole="--help-all" in asked))
        return None
    if verb is None or isinstance(verb, Family):
        _require_name(name, verb, given)
    kind = verb if isinstance(verb, type) else None
    return _parsed(name, kind, list(given) if kind is None else _renewed(given, flags_of(kind)))


def is_incomplete(given: Sequence[str]) -> bool:
    """Say whether the arguments stop before a verb, and show on standard error how they could go on."""
    name, verb = _named(given)
    if isinstance(verb, type) or list(given) != name.split():
        return False
    show_help(_help(name, verb, whole=False), on_error=True)
    return True


def _named(given: Sequence[str]) -> tuple[str, type[Command] | Family | None]:
    """Find the verb that the first words name, as far as they do."""
    verb = VERBS.get(given[0]) if given else None
    if isinstance(verb, Family) and len(given) > 1 and given[1] in verb.verbs:
        return f"{given[0]} {given[1]}", verb.verbs[given[1]]
    return (given[0] if verb is not None else ""), verb


def _help(name: str, verb: type[Command] | Family | None, *, whole: bool) -> list[str]:
    if verb is None:
        return overview(edgerift.__doc__ or "", GROUPS, EXAMPLES)
    return family_help(name, verb) if isinstance(verb, Family) else verb_help(name, verb, whole=whole)


def _require_name(name: str, family: Family | None, given: Sequence[str]) -> None:
    """Raise `InputError` for a word in the place of a verb that names none."""
    rest = given[len(name.split()) :]
    known, of = (VERBS, "edgerift") if family is None else (family.verbs, f"edgerift {name}")
    if rest[0].startswith("--tyro-"):
        return
    if rest[0].startswith("-"):
        raise InputError(f"{of} needs a command before '{rest[0]}': {', '.join(known)}; see `{of} --help`")
    raise InputError(f"{unknown_name('command', rest[0], known)}; see `{of} --help`")


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


def _parsed(name: str, kind: type[Command] | None, given: list[str]) -> Command | None:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found: Command = tyro.cli(
                parsed_type(), prog="edgerift", args=given, add_help=False, config=(tyro.conf.UseAppendAction,)
            )
            return found
    except SystemExit as stop:
        if not stop.code:
            return None
        told = said.getvalue()
        raise InputError(told if kind is None else refusal(name, kind, given, told)) from None
    except RecipeError as error:
        raise InputError(_FIELD.sub(lambda found: "--" + found[1].replace("_", "-"), str(error))) from None


def _require_text(argument: str) -> None:
    """Raise `InputError` for what is not Unicode, which no result could name."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise InputError(f"the argument '{argument}' is not text in UTF-8; rename the file") from None
    if "\0" in argument:
        raise InputError(f"the argument '{argument}' holds a zero character; leave it out")
