"""A client's monitor: what it has seen, on disk, and what follows when it alarms."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, TypeAlias, final

import torch
from pydantic import PrivateAttr
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from edgerift.defend import AnswerDefence, Monitor, Verdict
from edgerift.errors import StoreError
from edgerift.serve._errors import RefusedError
from edgerift.steps import require_regular, write_whole

Reaction: TypeAlias = Literal["report", "refuse", "coarsen"]
"""What follows an alarm: a line in the log and a metric, also no more answers (403), or also labels alone."""

#: After this many images at the latest what was seen is written to the disk.
_EVERY: Final = 100


@final
class Watching:
    """Watches the images that a client pays for; a kill loses the sight of at most the last 100 of them."""

    def __init__(self, monitor: Monitor, reaction: Reaction, path: Path | None) -> None:
        """Begin, or take up what a file holds; raises `StoreError` for a file that is damaged."""
        self._watch, self._path = monitor.start(), path
        self.reaction: Reaction = reaction
        self._verdict = Verdict(False, None, 0, None)
        self._unsaved = 0
        if path is not None:
            require_regular(path)
            if path.exists():
                self._open(path)

    @property
    def verdict(self) -> Verdict:
        """What the monitor said last."""
        return self._verdict

    def require_allowed(self) -> None:
        """Raise :class:`RefusedError` where an alarm ends all answers."""
        if self._verdict.alarm and self.reaction == "refuse":
            raise RefusedError(403, "this client is blocked: its queries look like an attack; ask the operator")

    def see(self, images: Tensor, answers: Tensor) -> bool:
        """Look at images that were just paid for; true when this is what raises the alarm."""
        before = self._verdict.alarm
        self._verdict = self._watch.watch(images, answers)
        self._unsaved += len(images)
        if self._unsaved >= _EVERY or self._verdict.alarm != before:
            self.save()
        return self._verdict.alarm and not before

    def save(self) -> None:
        """Write what was seen."""
        if self._path is not None and self._unsaved:
            write_whole(self._path, save({name: value.contiguous() for name, value in self._watch.state().items()}))
        self._unsaved = 0

    def _open(self, path: Path) -> None:
        try:
            self._watch.restore(load(path.read_bytes()))
        except (SafetensorError, KeyError, ValueError, RuntimeError, OSError):
            raise StoreError(f"{path} is not what this monitor has seen; delete it to begin again") from None
        empty = torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
        self._verdict = self._watch.watch(empty, torch.zeros(0, 2))


@final
class LabelsAfterAlarm(AnswerDefence):
    """Answers with the label alone as soon as a monitor has alarmed; it stands last in a client's chain."""

    type: Literal["labels-after-alarm"] = "labels-after-alarm"
    title = "Labels after an alarm"
    _watching: Watching | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, watching: Watching) -> LabelsAfterAlarm:
        """Make one that looks before each answer whether what is watching has alarmed."""
        made = cls()
        made.__pydantic_private__ = {"_watching": watching}
        return made

    @property
    def keeps_argmax(self) -> bool:
        """Whether every row keeps its top-1 label: always."""
        return True

    def __call__(self, answers: Tensor) -> Tensor:
        """Answer rows as they are, or 1 for the most likely class and 0 for the others."""
        if self._watching is None or not self._watching.verdict.alarm:
            return answers
        return torch.zeros_like(answers).scatter(1, answers.argmax(1, keepdim=True), 1.0)
