"""A client's account: its oracle, the ids of its requests, and the requests that wait to be answered."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias, final

import torch
from torch import Tensor

from edgerift.defend import Defence
from edgerift.errors import BudgetError
from edgerift.extract import Lookup, Oracle, image_keys
from edgerift.serve._batches import BatchedBuild, PreparedBuild, joined
from edgerift.serve._errors import RefusedError
from edgerift.serve._protocol import Answers, Pixels, Query
from edgerift.serve._request_ids import RequestIds
from edgerift.serve._watching import LabelsAfterAlarm, Watching

#: The most images that are paid for together.
_TOGETHER: Final = 1024


class Answered(NamedTuple):
    """The answers to a query, float32 `[N,K]`, and how many images are left of the budget after it."""

    answers: Answers
    remaining: int


Then: TypeAlias = Callable[[Answered | BaseException], None]
"""Hears of the answers to a query, or of why there are none, in any thread."""


class _Waiting(NamedTuple):
    query: Query
    then: Then
    alone: bool = False


@final
class Account:
    """One client: its budget and ledger, its defences, and the ids of its requests.

    Requests that wait are paid for together, with one write to the disk, and each is answered once its charge is
    there. What was paid for costs nothing again: a request that is sent again, after a failure or a kill, is answered
    from the ledger. At most `most_waiting` images wait. No thread waits for the runtime: the one that is given its
    scores pays for them and answers.
    """

    def __init__(
        self,
        name: str,
        build: BatchedBuild,
        *,
        budget: int,
        defences: tuple[Defence, ...] = (),
        folder: Path | None = None,
        watching: Watching | None = None,
        most_waiting: int = 16_384,
        paid: Callable[[int], None] = lambda _: None,
        alarmed: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the account; its files are in `folder`, else it is kept in memory.

        `paid` hears of each charge, and `alarmed` of the alarm of what is `watching`.
        """
        self.name, self._paid, self._alarmed, self._most_waiting = name, paid, alarmed, most_waiting
        self.watching = watching
        if watching is not None and watching.reaction == "coarsen":
            defences = (*defences, LabelsAfterAlarm.of(watching))
        ledger, ids = (None, None) if folder is None else (folder / f"{name}.ledger", folder / f"{name}.ids")
        self._build, self._victim = build, PreparedBuild(build)
        self._oracle = Oracle(self._victim, budget=budget, defence=defences, ledger=ledger, in_memory=False)
        try:
            self._ids = RequestIds(ids)
        except BaseException:
            self._oracle.close()
            raise
        self._lock = threading.Lock()
        self._queue: deque[_Waiting] = deque()
        self._images_waiting, self._is_working = 0, False

    @property
    def budget(self) -> int:
        """How many different images will ever be answered."""
        return self._oracle.budget

    @property
    def spent(self) -> int:
        """How many images were paid for."""
        return self._oracle.spent

    @property
    def remaining(self) -> int:
        """How many more images can be paid for."""
        return self._oracle.remaining

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

    def submit(self, query: Query, then: Then) -> None:
        """Queue a query; what was paid for is answered at once. Raises :class:`RefusedError` when too much waits.

        What is under way is paid for, whether anybody still listens.
        """
        if self.watching is not None:
            self.watching.require_allowed()
        with self._lock:
            if self._queue and self._images_waiting + len(query.images) > self._most_waiting:
                told = f"{self._images_waiting} images of this client wait already; send this again in a second"
                raise RefusedError(429, told, {"Retry-After": "1"})
            self._queue.append(_Waiting(query, then))
            self._images_waiting += len(query.images)
            starts, self._is_working = not self._is_working, True
        if starts:
            self._work()

    def close(self) -> None:
        """Let go of the files."""
        self._oracle.close()
        self._ids.close()
        if self.watching is not None:
            self.watching.save()

    def _work(self) -> None:
        """Answer what waits, until something has to be computed first, which goes on here, or nothing is left."""
        while together := self._taken():
            claimed = list(self._claimed(together))
            if claimed and self._is_being_computed(claimed):
                return

    def _taken(self) -> list[_Waiting]:
        """Take from the queue what is paid for together; [] when nothing waits, and then the work has ended."""
        with self._lock:
            taken: list[_Waiting] = []
            count = 0
            while self._queue and (not taken or self._fits(taken[-1], count)):
                taken.append(self._queue.popleft())
                count += len(taken[-1].query.images)
            self._images_waiting -= count
            self._is_working = bool(taken)
            return taken

    def _fits(self, last: _Waiting, count: int) -> bool:
        following = self._queue[0]
        return not (last.alone or following.alone) and count + len(following.query.images) <= _TOGETHER

    def _claimed(self, together: list[_Waiting]) -> Iterator[_Waiting]:
        """Yield those whose id is theirs; the others have their refusal."""
        for waiting in together:
            try:
                self._ids.claim(waiting.query.id, waiting.query.images)
            except Exception as error:
                waiting.then(error)
            else:
                yield waiting

    def _is_being_computed(self, together: list[_Waiting]) -> bool:
        """Have what is new computed, or answer at once where nothing is, or where it cannot be paid for."""
        try:
            pixels = joined([waiting.query.images for waiting in together])
            found = self._oracle.look_up(image_keys(pixels))
            if 0 < len(found.new) <= self.remaining:
                if self.watching is not None:
                    self.watching.require_allowed()
                asked = pixels if len(found.new) == len(pixels) else pixels[found.new]
                self._build.submit(asked, partial(self._computed, together, pixels, found))
                return True
        except Exception as error:
            self._failed(together, error)
        else:
            self._answer(together, pixels, found)
        return False

    def _computed(self, together: list[_Waiting], pixels: Pixels, found: Lookup, scores: Tensor | Exception) -> None:
        """Go on with the scores."""
        if isinstance(scores, Exception):
            self._failed(together, scores)
        else:
            self._victim.prepare(scores)
            self._answer(together, pixels, found)
        self._work()

    def _answer(self, together: list[_Waiting], pixels: Pixels, found: Lookup) -> None:
        before = self.spent
        try:
            answers = self._asked(torch.from_numpy(pixels), found)
        except Exception as error:
            self._failed(together, error)
            return
        finally:
            self._victim.forget()
        spent = self.spent
        rows, start = answers.numpy(), 0
        for waiting in together:
            end = start + len(waiting.query.images)
            waiting.then(Answered(rows[start:end], max(0, self.budget - spent)))
            start = end
        if spent > before:
            self._paid(spent - before)

    def _failed(self, together: list[_Waiting], error: BaseException) -> None:
        """Refuse one request; of several each is tried alone, as the rest of a budget may be enough for some."""
        if len(together) == 1:
            together[0].then(self._worded(error))
            return
        with self._lock:
            self._queue.extendleft(waiting._replace(alone=True) for waiting in reversed(together))
            self._images_waiting += sum(len(waiting.query.images) for waiting in together)

    def _asked(self, images: Tensor, found: Lookup) -> Tensor:
        if self.watching is None:
            return self._oracle.answer(images, found)
        self.watching.require_allowed()
        answers = self._oracle.answer(images, found)
        if found.new and self.watching.see(images[found.new], answers[found.new]):
            self._alarmed()
        return answers

    def _worded(self, error: BaseException) -> BaseException:
        if not isinstance(error, BudgetError):
            return error
        told = f"the budget of {self.budget} images has {self.remaining} left, fewer than this request's new ones"
        return RefusedError(429, told)
