"""What is wrong with the arguments of a verb, in one line: what was given, what is allowed, where to look."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Sequence
from typing import Final

from edgerift.cli._fields import Command, Option, flags_of, options_of

_KINDS: Final = {"N": "a whole number", "X": "a number"}

_OF_THE_PARSER: Final = "--tyro-"
_INVALID: Final = re.compile(r"(?:Error parsing|invalid choice '.*' for argument) '?(?P<flag>--[a-z0-9-]+)")
_NO_VALUE: Final = re.compile(r"Missing value for argument '(?P<flag>--[a-z0-9-]+)'")
_SURPLUS: Final = re.compile(r"Unrecognized options: (?P<words>.+?)(?:;|$)")


def refusal(name: str, kind: type[Command], given: Sequence[str], told: str) -> str:
    """Word why the parser does not take the arguments of a verb, of which it `told` in a frame of its own."""
    where = f"`edgerift {name} --help`"
    options = {option.name: option for option in options_of(kind)}
    told = _without_frame(told)
    if found := _INVALID.search(told):
        return f"{_wrong_value(options[found['flag']], given)}; {where} lists the options"
    if found := _NO_VALUE.search(told):
        option = options[found["flag"]]
        return f"{option.name} needs a value: {option.invocation}; {where} lists the options"
    if told.startswith("Missing from"):
        lacking = [option.invocation for option in options.values() if option.is_required and option.name not in given]
        return f"{name} needs {' and '.join(lacking)}; {where} lists the options"
    if found := _SURPLUS.search(told):
        return f"{name} does not take the argument {found['words']!r}; {where} lists the options"
    return f"{told}; {where} lists the options"


def unknown_option(name: str, kind: type[Command], given: Sequence[str]) -> str:
    """Word which option the verb does not have, with those that are near; "" where it has them all."""
    known = flags_of(kind)
    for word in given:
        flag = word.partition("=")[0]
        if flag.startswith(_OF_THE_PARSER):
            break
        if flag.startswith("--") and flag.replace("_", "-") not in known:
            near = _near(flag, known)
            meant = f" did you mean {_alternatives(near)}?" if near else ""
            return f"unknown option {flag};{meant} `edgerift {name} --help-all` lists all options"
    return ""


def _near(flag: str, known: set[str]) -> list[str]:
    """Find up to three options that look like `flag` or have its name within theirs."""
    listed = sorted(option for option in known if not option.startswith("--no-"))
    within = [option for option in listed if flag.strip("-") and flag.strip("-") in option]
    return list(dict.fromkeys([*difflib.get_close_matches(flag, listed, n=3, cutoff=0.75), *within]))[:3]


def _wrong_value(option: Option, given: Sequence[str]) -> str:
    values = [value for word, value in itertools.pairwise(given) if word.replace("_", "-") == option.name]
    pairs = [word.partition("=") for word in given]
    values += [value for word, equals, value in pairs if equals and word.replace("_", "-") == option.name]
    allowed = option.choices or _KINDS.get(option.metavar, option.metavar)
    if allowed.startswith("{"):
        choices = allowed.strip("{}").split(",")
        values = [value for value in values if value not in choices]
        allowed = _alternatives(choices)
    return f"{option.name} is '{values[-1] if values else ''}'; it must be {allowed}"


def _alternatives(words: Sequence[str]) -> str:
    """Write a choice as people say it.

    >>> _alternatives(["mobile"]), _alternatives(["a", "b", "c"])
    ('mobile', 'a, b or c')
    """
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _without_frame(text: str) -> str:
    """Write in one line what the parser writes in a frame with a heading and dividers."""
    lines = [line.strip("│╭╮╰╯─ ") for line in text.splitlines()[1:]]
    parts = [list(part) for filled, part in itertools.groupby(lines, bool) if filled]
    return "; ".join(" ".join(part) for part in parts)
