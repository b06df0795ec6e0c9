"""From arguments to an exit code: parse, run one verb, and word whatever goes wrong in one line."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import tyro

import edgerift
from edgerift.cli._adapt import Adapt
from edgerift.cli._audit import AuditCommand
from edgerift.cli._card import CardCommand
from edgerift.cli._defend import DefendCommand
from edgerift.cli._doctor import Doctor
from edgerift.cli._extract import ExtractCommand
from edgerift.cli._harden import HardenCommand
from edgerift.cli._replay import ReplayCommand
from edgerift.cli._store import StoreCommand
from edgerift.cli._study import StudyCommand
from edgerift.cli._train import Train
from edgerift.errors import EdgeriftError, InputError, RecipeError, first_line, one_line
from edgerift.train import keep_freed_memory

#: A field of the options as errors name it, such as `AdaptOptions.adapt_epochs`.
_OPTION = re.compile(r"^[A-Z]\w*\.([a-z0-9_]+)")

#: What a shell expects of a program that Ctrl-C ended: 128 + SIGINT.
INTERRUPTED = 130

#: The longest message that is shown whole.
_LONGEST = 4000

Command = (
    Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Adapt, tyro.conf.subcommand("adapt")]
    | Annotated[CardCommand, tyro.conf.subcommand("card")]
    | Annotated[AuditCommand, tyro.conf.subcommand("audit")]
    | Annotated[ReplayCommand, tyro.conf.subcommand("replay")]
    | Annotated[ExtractCommand, tyro.conf.subcommand("extract")]
    | Annotated[HardenCommand, tyro.conf.subcommand("harden")]
    | Annotated[DefendCommand, tyro.conf.subcommand("defend")]
    | StudyCommand
    | StoreCommand
    | Annotated[Doctor, tyro.conf.subcommand("doctor")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done. 1: a gate failed. 2: wrong input or a failure, told in one line on standard error. 130: Ctrl-C. With
    `EDGERIFT_TRACEBACK=1` in the environment the traceback is shown too.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given in (["--version"], ["-V"]):
        sys.stdout.write(f"edgerift {edgerift.__version__}\n")
        return 0
    keep_freed_memory()
    try:
        command = _parse(given)
        if isinstance(command, AuditCommand):
            command = command.replace(called=shlex.join(["edgerift", *given]))
        return 0 if command is None else int(command.run())
    except KeyboardInterrupt:
        return _fail("stopped; the same command goes on where this one was", INTERRUPTED)
    except EdgeriftError as error:
        return _fail(str(error))
    except BrokenPipeError:
        return 2
    except OSError as error:
        return _fail(f"cannot use {error.filename or 'a file'} ({error.strerror or first_line(error)}); choose another")
    except MemoryError:
        return _fail("there is not memory enough; take fewer or smaller images, or a smaller batch")
    except Exception as error:  # A user gets one line for our mistakes too; the variable gives the rest.
        told = f"internal error, {type(error).__name__}: {first_line(error)}"
        return _fail(f"{told}; EDGERIFT_TRACEBACK=1 shows where, please report it")


def _parse(given: list[str]) -> Any:
    """Turn the arguments into a verb, or None when they ask for help, which is shown then.

    Raises :class:`~edgerift.errors.InputError` for arguments that are not known, not allowed or not text.
    """
    for text in given:
        _require_text(text)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                Command,
                prog="edgerift",
                description=f"{edgerift.__doc__}\n\n`edgerift VERB --help` tells the options of a verb.",
                args=given,
                config=(tyro.conf.UseAppendAction,),
            )
    except SystemExit as stop:
        if not stop.code:
            return None
        raise InputError(_without_frame(said.getvalue())) from None
    except RecipeError as error:
        raise InputError(_OPTION.sub(lambda found: "--" + found[1].replace("_", "-"), str(error))) from None


def _require_text(argument: str) -> None:
    """Raise `InputError` for what is not Unicode, which no result could name."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise InputError(f"the argument '{argument}' is not text in UTF-8; rename the file") from None
    if "\0" in argument:
        raise InputError(f"the argument '{argument}' holds a zero character; leave it out")


def _without_frame(text: str) -> str:
    """Write in one line what tyro writes in a frame with a heading and dividers."""
    lines = [line.strip("│╭╮╰╯─ ") for line in text.splitlines()[1:]]
    parts = [list(part) for filled, part in itertools.groupby(lines, bool) if filled]
    return "; ".join(" ".join(part) for part in parts)


def _fail(message: str, code: int = 2) -> int:
    if os.environ.get("EDGERIFT_TRACEBACK"):
        traceback.print_exc()
    line = one_line(message)
    sys.stderr.write(f"edgerift: {line if len(line) <= _LONGEST else line[:_LONGEST] + '…'}\n")
    return code
