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


def show(result: Settings, text: RenderableType, as_json: bool) -> None:
    """Print a result: the JSON object alone, or its text."""
    if as_json:
        sys.stdout.write(result.model_dump_json(indent=2) + "\n")
    else:
        Console().print(text)


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
    """Keep C++ libraries from writing to standard output, which belongs to the result; it goes to standard error."""
    sys.stdout.flush()
    saved = os.dup(1)
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
