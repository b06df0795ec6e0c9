"""The threads that query the runtime: what several clients ask at a time is computed together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy import Build, Fingerprint
from edgerift.errors import BuildError
from edgerift.images import ImageShape
from edgerift.measure import Predict
from edgerift.serve._protocol import Pixels
from edgerift.serve._runtime_process import ProcessBuild
from edgerift.serve._workers import Workers

#: The most images that are computed together.
_MOST: Final = 64
#: Batches that are paid for and answered at a time, while others are computed; the disk takes several together.
_ANSWERING: Final = 8
#: How many images are tried alone and together, and the batches that they are cut into.
_TRIED: Final = 48
_CUTS: Final = ((1,), (2, 5, 7), (16,), (33, 15))


Then: TypeAlias = Callable[[Tensor | Exception], None]
"""What is done with the scores float32 `[N,K]` of images, or with what was raised instead."""


class _Part(NamedTuple):
    images: Pixels
    then: Then


@final
class BatchedBuild:
    """A build that any thread may query: one thread runs it, on all that waits, up to 64 images at a time.

    A build in a process of its own has as many threads as it has lanes, so that it need not wait for the next images.

    What an image is answered does not depend on the others: a build whose answers do, by a single bit of random
    images, is queried with one image at a time (`alone`). It ends with :meth:`close`.
    """

    def __init__(self, build: Build, shape: ImageShape) -> None:
        """Find out whether images may be computed together, and start the thread."""
        self._build = build
        self.alone = not answers_alike(build.predict, shape)
        self._waiting: queue.SimpleQueue[_Part | None] = queue.SimpleQueue()
        self._is_closed = threading.Event()
        self._answering = Workers(_ANSWERING, "edgerift-answer")
        lanes = build.lanes if isinstance(build, ProcessBuild) else 1
        self._threads = [
            threading.Thread(target=self._work, name=f"edgerift-runtime-{lane}", daemon=True) for lane in range(lanes)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def runtime(self) -> str:
        """The runtime's name."""
        return self._build.runtime

    @property
    def path(self) -> Path:
        """The artefact."""
        return self._build.path

    @property
    def waiting(self) -> int:
        """How many parts wait for the runtime."""
        return self._waiting.qsize()

    def fingerprint(self) -> Fingerprint:
        """Return what determines the build's answers."""
        return self._build.fingerprint()

    def integer_macs(self) -> float:
        """The share of multiply-accumulates that run in integer kernels."""
        return self._build.integer_macs()

    def submit(self, images: Pixels, then: Then) -> None:
        """Let uint8 images `[N,C,H,W]` wait; what comes `then` is done by a thread that the runtime does not need."""
        if self._is_closed.is_set():
            raise BuildError("the server is stopping; query it again when it is back")
        self._waiting.put(_Part(images, then))

    def close(self) -> None:
        """Answer what waits, and end the threads."""
        self._is_closed.set()
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()
        self._answering.close()

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            parts, is_last = self._gathered(first)
            self._answer(parts)
            if is_last:
                return

    def _gathered(self, first: _Part) -> tuple[list[_Part], bool]:
        """Take what waits behind the first; the second value says that the end has come."""
        parts, count = [first], len(first.images)
        while count < _MOST:
            try:
                part = self._waiting.get_nowait()
            except queue.Empty:
                break
            if part is None:
                return parts, True
            parts.append(part)
            count += len(part.images)
        return parts, False

    def _answer(self, parts: list[_Part]) -> None:
        try:
            answers = self._computed(torch.from_numpy(joined([part.images for part in parts])))
        except Exception as error:
            if len(parts) == 1:
                self._answering.do(partial(parts[0].then, error))
                return
            for part in parts:  # One of them alone is to have what is wrong with it.
                self._answer([part])
            return
        # Answers are written to the disk before they leave, which the runtime need not wait for.
        self._answering.do(partial(_hand_out, parts, answers))

    def _computed(self, images: Tensor) -> Tensor:
        if self.alone:
            return torch.cat([self._build.predict(image) for image in images.split(1)])
        return self._build.predict(images)


def _hand_out(parts: list[_Part], answers: Tensor) -> None:
    """Give each part its answers, in one thread: to change between several takes longer than what is to do."""
    start = 0
    for part in parts:
        end = start + len(part.images)
        part.then(answers[start:end])
        start = end


@final
class PreparedBuild:
    """A build for an oracle, which is given the scores that were computed already, in the order in which it asks."""

    def __init__(self, build: BatchedBuild) -> None:
        """Stand for a build."""
        self._build = build
        self._scores: Tensor | None = None

    @property
    def runtime(self) -> str:
        """The runtime's name."""
        return self._build.runtime

    @property
    def path(self) -> Path:
        """The artefact."""
        return self._build.path

    def fingerprint(self) -> Fingerprint:
        """Return what determines the build's answers."""
        return self._build.fingerprint()

    def integer_macs(self) -> float:
        """The share of multiply-accumulates that run in integer kernels."""
        return self._build.integer_macs()

    def prepare(self, scores: Tensor) -> None:
        """Keep float32 `[N,K]` for the next queries."""
        self._scores = scores

    def forget(self) -> None:
        """Keep nothing any more."""
        self._scores = None

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with the scores that come next."""
        if self._scores is None:
            raise BuildError("no scores were prepared; query this again")
        if len(images) == len(self._scores):
            found, self._scores = self._scores, None
            return found
        found, rest = self._scores[: len(images)], self._scores[len(images) :]
        self._scores = rest if len(rest) else None
        return found


def joined(parts: list[Pixels]) -> Pixels:
    """Join arrays by their rows; one alone is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def answers_alike(predict: Predict, shape: ImageShape) -> bool:
    """Tell whether random images have the same answers, bit by bit, in whatever batch they are."""
    images = torch.randint(256, (_TRIED, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = predict(images)
    cut = (torch.cat([predict(part) for part in _parts(images, sizes)]) for sizes in _CUTS)
    return all(torch.equal(whole, answers) for answers in cut)


def _parts(images: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    if len(sizes) == 1:
        return list(images.split(sizes[0]))
    repeated = list(sizes) * (len(images) // sum(sizes) + 1)
    parts, start = [], 0
    for size in repeated:
        if start < len(images):
            parts.append(images[start : start + size])
        start += size
    return parts
