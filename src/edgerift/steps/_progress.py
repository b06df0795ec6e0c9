"""The progress interface of long steps."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """The callback that a step reports progress to: a bar on a terminal, a line in a log, or `silent`."""

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Report that `done` of `total` parts of `task` are finished.

        `task` is a short name that is constant while the task runs, `total` is 0 where the number of parts is unknown,
        and `note` is free text such as `"loss 0.31"`.
        """


def silent(task: str, done: int, total: int, note: str = "") -> None:
    """Report nothing: the default `Progress`."""
