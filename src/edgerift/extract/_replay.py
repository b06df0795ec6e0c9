"""A replay memory of fixed size, which survives a kill."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from torch import Tensor

from edgerift.errors import StoreError
from edgerift.extract._files import disk_errors, write_all
from edgerift.steps import require_regular

#: Rows beyond the capacity: what is written between two checkpoints takes no row that a resumed run reads.
SLACK: Final = 131_072
_ROWS_AT_ONCE: Final = 65_536


@final
class Replay:
    """The last `capacity` images that an attacker queried, and their answers; the oldest go first.

    Images are kept as they were queried, uint8 or float32, on `device`. With a `path` they are also written to
    that file, from which :meth:`restore` reads them after a kill: its rows beyond the capacity let a run go back to its
    last checkpoint, as long as no more than 131,072 images, or `slack` if that is more, were added since.
    """

    def __init__(self, capacity: int, device: torch.device, path: Path | None = None, slack: int = 0) -> None:
        """Make an empty memory; its tensors are made with the first images."""
        self._capacity, self._device, self._path = capacity, device, path
        self._slack = 0 if path is None else max(slack, SLACK)
        self._images: Tensor | None = None
        self._answers: Tensor | None = None
        self.added = 0
        self._flushed = 0

    def __len__(self) -> int:
        """Return how many images can be drawn."""
        return min(self.added, self._capacity)

    def add(self, images: Tensor, answers: Tensor) -> None:
        """Add images `[N,C,H,W]` and answers `[N,K]`, in place of the oldest ones when the memory is full."""
        if self._images is None or self._answers is None:
            self._begin(images, answers)
        assert self._images is not None
        assert self._answers is not None
        self.added += len(images)
        # Of a batch that is larger than the memory, the last images stay.
        images, answers = images[-self._capacity :], answers[-self._capacity :]
        first = self.added - len(images)
        rows = torch.arange(first, self.added, device=self._device) % self._capacity
        self._images[rows], self._answers[rows] = images.to(self._device), answers.to(self._device)
        if self._path is not None:
            self._write(self._path, first % self._rows(), _bytes(images, answers))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw `count` images and their answers, each as likely as any other, with replacement."""
        assert self._images is not None
        assert self._answers is not None
        back = torch.randint(len(self), (count,), generator=generator, device=generator.device).to(self._device)
        rows = (self.added - 1 - back) % self._capacity
        return self._images[rows], self._answers[rows]

    def flush(self) -> None:
        """Bring the file to the disk, before a checkpoint; raises `StoreError` when that refuses."""
        self._flushed = self.added
        if self._path is not None and self._images is not None:
            with self._errors(self._path), self._path.open("r+b") as file:
                os.fsync(file.fileno())

    def is_due(self, count: int) -> bool:
        """Say whether a checkpoint has to be written before `count` more images may be added."""
        return self._path is not None and self.added - self._flushed + count > self._slack

    def restore(self, added: int, images: Tensor, answers: Tensor) -> None:
        """Go back to when `added` images had been added; `images` and `answers` have the shapes of such a batch.

        Raises `StoreError` when the file is not there or has another size.
        """
        if added == 0:
            return
        assert self._path is not None
        expected = self._rows() * _bytes(images[:1], answers[:1]).shape[1]
        if not self._path.exists() or self._path.stat().st_size != expected:
            raise StoreError(f"the replay memory {self._path} is gone or damaged; delete the checkpoint to start over")
        self._begin(images, answers, keep=True)
        assert self._images is not None
        assert self._answers is not None
        width, row = images[0].numel() * images.element_size(), expected // self._rows()
        with self._errors(self._path), self._path.open("rb") as file:
            for first, count in self._stretches(added):
                file.seek(first % self._rows() * row)
                content = np.fromfile(file, np.uint8, count * row).reshape(count, row)
                pixels, numbers = (torch.from_numpy(half.copy()) for half in np.split(content, [width], 1))
                rows = torch.arange(first, first + count, device=self._device) % self._capacity
                self._images[rows] = pixels.view(images.dtype).view(count, *images.shape[1:]).to(self._device)
                self._answers[rows] = numbers.view(torch.float32).to(self._device)
        self.added = self._flushed = added

    def _stretches(self, added: int) -> Iterator[tuple[int, int]]:
        """Cut what is remembered into parts that lie in one piece in the file: the first image's number, how many."""
        first = max(0, added - self._capacity)
        while first < added:
            count = min(added - first, self._rows() - first % self._rows(), _ROWS_AT_ONCE)
            yield first, count
            first += count

    def _rows(self) -> int:
        return self._capacity + self._slack

    def _begin(self, images: Tensor, answers: Tensor, *, keep: bool = False) -> None:
        shape = (self._capacity, *images.shape[1:])
        self._images = torch.zeros(shape, dtype=images.dtype, device=self._device)
        self._answers = torch.zeros(self._capacity, answers.shape[1], device=self._device)
        if self._path is not None and not keep:
            require_regular(self._path)
            with self._errors(self._path), self._path.open("wb") as file:
                file.truncate(self._rows() * _bytes(images[:1], answers[:1]).shape[1])

    def _write(self, path: Path, row: int, content: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> None:
        """Write rows from number `row` on, those behind the last one at the beginning of the file."""
        before_end = self._rows() - row
        with self._errors(path), path.open("r+b", buffering=0) as file:
            for start, part in ((row, content[:before_end]), (0, content[before_end:])):
                file.seek(start * content.shape[1])
                write_all(file, part.tobytes())

    def _errors(self, path: Path) -> AbstractContextManager[None]:
        return disk_errors(path, "replay memory", "")


def _bytes(images: Tensor, answers: Tensor) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    parts = [part.detach().cpu().contiguous().flatten(1).numpy().view(np.uint8) for part in (images, answers.float())]
    joined: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = np.concatenate(parts, 1)
    return joined
