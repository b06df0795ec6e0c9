"""How far a command is: bars on a terminal, lines in a log, both with the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, final

from edgerift.errors import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

#: Seconds after which a log is told again how far a task is that has nothing else to tell.
_LOG_EVERY: Final = 15.0

Clock = Callable[[], float]


@final
class OnTerminal:
    """A bar for each task that runs."""

    def __init__(self, shown: Bars) -> None:
        """Draw on bars that were started."""
        self._bars = shown
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Move a task's bar, a new one where the task begins again."""
        task, note = one_line(task), one_line(note)
        if task not in self._tasks or (done == 0 and self._bars.tasks[self._tasks[task]].finished):
            self._tasks[task] = self._bars.add_task(task, total=total or None, note=note)
        self._bars.update(self._tasks[task], completed=done, total=total or None, note=note)


@final
class InLog:
    """A line for each note, and every 15 seconds one for a task that has none."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        """Print on a console that is no terminal."""
        self._console, self._clock = console, clock
        self._began: dict[str, tuple[float, int]] = {}
        self._told: set[str] = set()
        self._last = clock()

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Tell a note once, and otherwise how far the task is where nothing was told for a while."""
        now = self._clock()
        task, note = one_line(task), one_line(note)
        if done == 0:
            self._began.pop(task, None)
        began, first = self._began.setdefault(task, (now, done))
        if note and (line := f"{task}: {note}") not in self._told:
            self._told.add(line)
            self._print(line, now)
        elif now - self._last >= _LOG_EVERY and first < done < total:
            left = (now - began) * (total - done) / (done - first)
            self._print(f"{task}: {done} of {total}, about {duration(left)} left", now)

    def _print(self, line: str, now: float) -> None:
        self._last = now
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Write a time as people say it.

    >>> [duration(seconds) for seconds in (0.4, 59.6, 61, 3_700, 200_000)]
    ['1 s', '1 min', '1 min', '1 h 2 min', '2 d 8 h']
    """
    whole = max(1, round(seconds))
    if whole < 59.5:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(whole / 3600), 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
