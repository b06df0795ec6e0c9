"""How a long step tells how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a step calls to tell how far it is: a bar on a terminal, a line in a log, or `silent`."""

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` parts of `task` are finished.

        `task` is a short name that stays the same for as long as the task runs, `total` is 0 where the number
        of parts is not known, and `note` is free text such as `"loss 0.31"`.
        """


def silent(task: str, done: int, total: int, note: str = "") -> None:
    """Report nothing: the `Progress` of a run that nobody watches."""
