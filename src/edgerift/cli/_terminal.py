"""What the verbs show: progress on standard error, the result on standard output."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, final

from edgerift import steps
from edgerift.cli._progress import InLog, OnTerminal
from edgerift.errors import EdgeriftWarning, one_line, plain
from edgerift.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

#: Columns where the output is no terminal: wide enough for the tables.
_PIPE_WIDTH = 120


def show(result: Settings, text: RenderableType, as_json: bool) -> None:
    """Print a result: the JSON object alone, or its text."""
    if as_json:
        sys.stdout.write(_escaped(result.model_dump_json(indent=2)) + "\n")
    else:
        from rich.console import Console

        console = Console()
        console.width = console.width if console.is_terminal else _PIPE_WIDTH
        console.print(_Plain(text), crop=False)


def _escaped(json: str) -> str:
    """Write what a terminal could take for a command by JSON's own escapes; the value stays what it is."""
    return "".join(
        character if character == "\n" or character.isprintable() else dumps(character)[1:-1] for character in json
    )


@final
class _Plain:
    """Text and tables in which characters that move a terminal are escaped: names in them may come from files."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._content, options):
            yield segment if segment.control else segment._replace(text=plain(segment.text))


@contextlib.contextmanager
def progress_bars() -> Iterator[steps.Progress]:
    """Show on standard error how far each task is: bars on a terminal, lines elsewhere.

    While it lasts nothing else reaches the terminal; see :func:`_others_hidden`.
    """
    from rich.console import Console

    from edgerift.cli._bars import bars

    with _others_hidden() as stream:
        console = Console(file=stream)
        if not console.is_terminal:
            with _notes_on(console):
                yield InLog(console)
            return
        with bars(console) as shown, _notes_on(shown.console):
            yield OnTerminal(shown)


@contextlib.contextmanager
def _notes_on(console: Console) -> Iterator[None]:
    """Show each of edgerift's own warnings once, as a note of one line."""
    told: set[str] = set()
    others = warnings.showwarning

    def show_note(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        note = f"note: {one_line(str(message))}"
        if not issubclass(category, EdgeriftWarning):
            others(message, category, filename, lineno, file, line)
        elif note not in told:
            told.add(note)
            console.print(note, highlight=False, markup=False, soft_wrap=True)

    with warnings.catch_warnings():
        warnings.simplefilter("always", EdgeriftWarning)
        warnings.showwarning = show_note
        yield


@contextlib.contextmanager
def _others_hidden() -> Iterator[TextIO]:
    """Hide what libraries write, in C++ and in Python, and yield a stream that still reaches standard error.

    With `EDGERIFT_TRACEBACK=1` nothing is hidden.
    """
    if os.environ.get("EDGERIFT_TRACEBACK"):
        yield sys.stderr
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            os.fdopen(saved[2], "w", 1, closefd=False) as stream,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            for number in saved:
                os.dup2(nowhere.fileno(), number)
            yield stream
    finally:
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)
