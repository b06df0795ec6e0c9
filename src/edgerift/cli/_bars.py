"""The bars of a terminal."""

from __future__ import annotations

from typing import Final, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from edgerift.cli._progress import duration

#: Columns of a terminal that has room for all that is known of a task.
_WIDE: Final = 100


def bars(console: Console) -> Bars:
    """Make the bars of a terminal; a note that does not fit is cut short, a narrow terminal goes without the count."""
    wide = console.width >= _WIDE
    return Bars(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=24)),
        BarColumn(bar_width=40 if wide else 12, table_column=Column(min_width=12)),
        *([MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=5))] if wide else []),
        _Time(table_column=Column(no_wrap=True, min_width=11, justify="right")),
        TextColumn(
            "{task.fields[note]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)
        ),
        console=console,
        expand=True,
        # Others' output is hidden while the bars are there, and rich would bring it back.
        redirect_stdout=False,
        redirect_stderr=False,
    )


@final
class _Time(ProgressColumn):
    """The time that is left, and in the end the time that a task took."""

    def render(self, task: Task) -> Text:
        """Write it; nothing where nobody knows."""
        if task.finished:
            return Text(duration(task.finished_time or 0.0), style="progress.elapsed")
        left = task.time_remaining
        return Text("" if left is None else f"{duration(left)} left", style="progress.remaining")
