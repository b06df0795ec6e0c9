"""What `--help` and `--help-all` print: a verb's options under headings, and an example."""

from __future__ import annotations

import inspect
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from edgerift.cli._verbs import Family, Verb

if TYPE_CHECKING:
    from edgerift.cli._fields import Command, Option

#: Columns of an option and its value; longer ones have a line of their own.
_LEFT: Final = 24
#: Columns of the name of a verb.
_NAME: Final = 12
#: Lines longer than this are hard to read.
_WIDEST: Final = 100
_NARROWEST: Final = 60

#: The headings that every verb has last.
_LAST: Final = ("output",)


def show_help(lines: list[str], *, on_error: bool = False) -> None:
    """Print help on standard output, or on standard error; headings are bold on a terminal."""
    stream = sys.stderr if on_error else sys.stdout
    has_style = stream.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ
    for line in lines:
        is_heading = has_style and line.endswith(":") and not line.startswith(" ")
        stream.write(f"\x1b[1m{line}\x1b[0m\n" if is_heading else f"{line}\n")


def overview(about: str, groups: Mapping[str, Mapping[str, Verb | Family]], examples: tuple[str, ...]) -> list[str]:
    """Write the help of `edgerift` itself: its verbs in groups, a line each."""
    lines = ["usage: edgerift COMMAND [OPTIONS]", "", *_wrapped(about)]
    for heading, verbs in groups.items():
        lines += [
            "",
            f"{heading}:",
            *(line for name, verb in verbs.items() for line in _listed(name, verb.summary, _NAME)),
        ]
    return [
        *lines,
        "",
        "examples:",
        *(f"  {example}" for example in examples),
        "",
        *_wrapped(
            "`edgerift COMMAND --help` lists a command's main options, `edgerift COMMAND --help-all` all of them; "
            "`edgerift --version` prints the version."
        ),
    ]


def family_help(name: str, family: Family) -> list[str]:
    """Write the help of a verb with verbs of its own."""
    return [
        f"usage: edgerift {name} COMMAND [OPTIONS]",
        "",
        *_wrapped(family.summary),
        "",
        "commands:",
        *(line for verb, kind in family.verbs.items() for line in _listed(verb, kind.summary, _NAME)),
        "",
        "example:",
        f"  {family.example}",
        "",
        f"`edgerift {name} COMMAND --help` lists a command's options.",
    ]


def verb_help(name: str, kind: type[Command], *, whole: bool) -> list[str]:
    """Write the help of one verb, with its advanced options where the `whole` of it is asked for."""
    from edgerift.cli._fields import options_of

    options = list(options_of(kind))
    shown = [option for option in options if whole or not option.is_advanced]
    needed = [option.invocation for option in options if option.is_required]
    lines = [" ".join(["usage: edgerift", name, *needed, "[OPTIONS]"]), ""]
    for paragraph in (inspect.getdoc(kind) or "").split("\n\n"):
        lines += [*_wrapped(" ".join(paragraph.split())), ""]
    groups = list(dict.fromkeys(option.group for option in shown))
    for group in sorted(groups, key=lambda group: group in _LAST):
        lines.append(f"{group}:")
        lines += [line for option in shown if option.group == group for line in _described(option, whole=whole)]
        lines.append("")
    lines += ["example:", f"  {kind.example}"]
    if hidden := len(options) - len(shown):
        lines += ["", f"{hidden} more option{'s' if hidden > 1 else ''}: edgerift {name} --help-all"]
    return lines


def _described(option: Option, *, whole: bool) -> Iterator[str]:
    text = f"{option.text}. {option.details}" if whole and option.details else option.text
    if option.is_required and not option.is_positional:
        text += " (required)"
    elif option.default:
        text += f" (default: {option.default})"
    return _listed(option.invocation, text)


def _listed(left: str, right: str, column: int = _LEFT) -> Iterator[str]:
    """Write two columns, the right one from `column` on; a long left one has a line of its own."""
    lines = textwrap.wrap(right, _width() - column, break_long_words=False, break_on_hyphens=False)
    if len(left) > column - 4:
        yield f"  {left}"
        left = ""
    yield f"  {left:{column - 4}}  {lines[0] if lines else ''}".rstrip()
    for line in lines[1:]:
        yield " " * column + line


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _width(), break_long_words=False, break_on_hyphens=False)


def _width() -> int:
    return max(_NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST))
