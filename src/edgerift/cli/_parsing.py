"""From arguments to a verb: help where it is asked for, and one line for a verb that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import edgerift
from edgerift.cli._help import family_help, overview, show_help, verb_help
from edgerift.cli._verbs import EXAMPLES, GROUPS, VERBS, Family, Verb
from edgerift.errors import InputError, unknown_name

if TYPE_CHECKING:
    from edgerift.cli._fields import Command

_HELP: Final = ("-h", "--help", "--help-all")


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
    if isinstance(verb, Verb):
        from edgerift.cli._options_given import parsed

        return parsed(name, verb.command(), given[len(name.split()) :])
    if given[len(name.split())].startswith("--tyro-"):
        from edgerift.cli._options_given import completed

        return completed(given)
    raise _unnamed(name, verb, given)


def is_incomplete(given: Sequence[str]) -> bool:
    """Say whether the arguments stop before a verb, and show on standard error how they could go on."""
    name, verb = _named(given)
    if isinstance(verb, Verb) or list(given) != name.split():
        return False
    show_help(_help(name, verb, whole=False), on_error=True)
    return True


def _named(given: Sequence[str]) -> tuple[str, Verb | Family | None]:
    """Find the verb that the first words name, as far as they do."""
    verb = VERBS.get(given[0]) if given else None
    if isinstance(verb, Family) and len(given) > 1 and given[1] in verb.verbs:
        return f"{given[0]} {given[1]}", verb.verbs[given[1]]
    return (given[0] if verb is not None else ""), verb


def _help(name: str, verb: Verb | Family | None, *, whole: bool) -> list[str]:
    if verb is None:
        return overview(edgerift.__doc__ or "", GROUPS, EXAMPLES)
    return family_help(name, verb) if isinstance(verb, Family) else verb_help(name, verb.command(), whole=whole)


def _unnamed(name: str, family: Family | None, given: Sequence[str]) -> InputError:
    """Word what is wrong with a word in the place of a verb that names none."""
    word = given[len(name.split())]
    known, of = (VERBS, "edgerift") if family is None else (family.verbs, f"edgerift {name}")
    if word.startswith("-"):
        return InputError(f"{of} needs a command before '{word}': {', '.join(known)}; see `{of} --help`")
    return InputError(unknown_name("command", word, known))


def _require_text(argument: str) -> None:
    """Raise `InputError` for what is not Unicode, which no result could name."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise InputError(f"the argument '{argument}' is not text in UTF-8; rename the file") from None
    if "\0" in argument:
        raise InputError(f"the argument '{argument}' holds a zero character; leave it out")
