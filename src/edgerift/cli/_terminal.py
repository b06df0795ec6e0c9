"""What the verbs show: progress on standard error, the result on standard output."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

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
    """Show a bar for each running task on standard error, and a line for each note where that is no terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}
        told: set[str] = set()

        def tell(task: str, done: int, total: int, note: str = "") -> None:
            if task not in tasks or (done == 0 and bars.tasks[tasks[task]].finished):
                tasks[task] = bars.add_task(task, total=total or None, note=note)
            bars.update(tasks[task], completed=done, total=total or None, note=note)
            if not console.is_terminal and note and note not in told:
                told.add(note)
                console.print(f"{task}: {note}", highlight=False)

        yield tell


@contextlib.contextmanager
def native_output_hidden() -> Iterator[None]:
    """Keep C++ libraries from writing to the terminal: their standard output and error go nowhere.

    Python's own `sys.stdout` and `sys.stderr` still reach it. With `EDGERIFT_TRACEBACK=1` nothing is hidden.
    """
    if os.environ.get("EDGERIFT_TRACEBACK"):
        yield
        return
    sys.stdout.flush()
    sys.stderr.flush()
    saved = {number: os.dup(number) for number in (1, 2)}
    streams = sys.stdout, sys.stderr
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with os.fdopen(saved[1], "w", closefd=False) as out, os.fdopen(saved[2], "w", 1, closefd=False) as error:
        try:
            sys.stdout, sys.stderr = out, error
            for number in saved:
                os.dup2(nowhere, number)
            yield
        finally:
            for number, copy in saved.items():
                os.dup2(copy, number)
            sys.stdout, sys.stderr = streams
            for number in (nowhere, *saved.values()):
                os.close(number)
