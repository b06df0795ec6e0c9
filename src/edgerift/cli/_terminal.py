"""What the verbs show: progress on standard error, the result on standard output."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from edgerift.recipes import Progress, Settings

#: Columns where the output is no terminal: wide enough for the tables.
_PIPE_WIDTH = 120


def show(result: Settings, text: RenderableType, as_json: bool) -> None:
    """Print a result: the JSON object alone, or its text."""
    if as_json:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    else:
        console = Console()
        console.width = console.width if console.is_terminal else _PIPE_WIDTH
        console.print(text)


@contextlib.contextmanager
def progress_bars() -> Iterator[Progress]:
    """Show a bar for each running task on standard error, and a line for each note where that is no terminal.

    While it lasts nothing else reaches the terminal; see :func:`_others_hidden`.
    """
    with _others_hidden() as stream:
        console = Console(file=stream)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
            yield _Teller(console, bars)


@final
class _Teller:
    """The progress that is shown: a bar for each task, and each note once."""

    def __init__(self, console: Console, bars: Bars) -> None:
        self._console = console
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._told: set[str] = set()

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        if task not in self._tasks or (done == 0 and self._bars.tasks[self._tasks[task]].finished):
            self._tasks[task] = self._bars.add_task(task, total=total or None, note=note)
        self._bars.update(self._tasks[task], completed=done, total=total or None, note=note)
        line = f"{task}: {note}"
        if not self._console.is_terminal and note and line not in self._told:
            self._told.add(line)
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)


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
