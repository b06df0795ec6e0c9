"""A client's account: its oracle, the ids of its requests, and the requests that wait to be answered."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Final, NamedTuple, final

import torch
from torch import Tensor

from edgerift.defend import Defence
from edgerift.errors import BudgetError
from edgerift.extract import Oracle
from edgerift.serve._batches import BatchedBuild
from edgerift.serve._errors import RefusedError
from edgerift.serve._protocol import Query
from edgerift.serve._request_ids import RequestIds
from edgerift.serve._watching import LabelsAfterAlarm, Watching

#: The most images that are paid for together.
_TOGETHER: Final = 1024


class Answered(NamedTuple):
    """The answers to a query, float32 `[N,K]`, and how many images are left of the budget after it."""

    answers: Tensor
    remaining: int


class _Waiting(NamedTuple):
    query: Query
    answered: Future[Answered]


@final
class Account:
    """One client: its budget and ledger, its defences, and the ids of its requests.

    Requests that wait are paid for together, with one write to the disk, and each is answered once its charge is
    there. What was paid for costs nothing again: a request that is sent again, after a failure or a kill, is answered
    from the ledger. At most `most_waiting` images wait.
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
        self._oracle = Oracle(build, budget=budget, defence=defences, ledger=ledger, in_memory=False)
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

    def submit(self, query: Query, workers: Executor) -> Future[Answered]:
        """Queue a query, which one of the workers answers; raises :class:`RefusedError` when too much waits already."""
        if self.watching is not None:
            self.watching.require_allowed()
        waiting = _Waiting(query, Future())
        with self._lock:
            if self._queue and self._images_waiting + len(query.images) > self._most_waiting:
                told = f"{self._images_waiting} images of this client wait already; send this again in a second"
                raise RefusedError(429, told, {"Retry-After": "1"})
            self._queue.append(waiting)
            self._images_waiting += len(query.images)
            starts, self._is_working = not self._is_working, True
        if starts:
            workers.submit(self._work)
        return waiting.answered

    def close(self) -> None:
        """Let go of the files."""
        self._oracle.close()
        self._ids.close()
        if self.watching is not None:
            self.watching.save()

    def _work(self) -> None:
        while together := self._taken():
            before = self.spent
            self._answer(list(self._claimed(together)))
            if self.spent > before:
                self._paid(self.spent - before)

    def _taken(self) -> list[_Waiting]:
        """Take from the queue what is paid for together; [] when nothing waits, and then the work has ended."""
        with self._lock:
            taken: list[_Waiting] = []
            count = 0
            while self._queue and (not taken or count + len(self._queue[0].query.images) <= _TOGETHER):
                taken.append(self._queue.popleft())
                count += len(taken[-1].query.images)
            self._images_waiting -= count
            self._is_working = bool(taken)
            return taken

    def _claimed(self, together: list[_Waiting]) -> Iterator[_Waiting]:
        """Yield those whose id is theirs; the others have their refusal."""
        for waiting in together:
            try:
                self._ids.claim(waiting.query.id, waiting.query.images)
            except Exception as error:
                waiting.answered.set_exception(error)
            else:
                yield waiting

    def _answer(self, together: list[_Waiting]) -> None:
        if not together:
            return
        try:
            answers = self._asked(torch.cat([waiting.query.images for waiting in together]))
        except Exception as error:
            if len(together) == 1:
                together[0].answered.set_exception(self._worded(error))
                return
            for waiting in together:  # The rest of the budget may be enough for some of them.
                self._answer([waiting])
            return
        sizes = [len(waiting.query.images) for waiting in together]
        for waiting, rows in zip(together, answers.split(sizes), strict=True):
            waiting.answered.set_result(Answered(rows, self.remaining))

    def _asked(self, images: Tensor) -> Tensor:
        if self.watching is None:
            return self._oracle.ask(images)
        self.watching.require_allowed()
        new = self._oracle.unpaid(images)
        answers = self._oracle.ask(images)
        if new and self.watching.see(images[new], answers[new]):
            self._alarmed()
        return answers

    def _worded(self, error: Exception) -> Exception:
        if not isinstance(error, BudgetError):
            return error
        told = f"the budget of {self.budget} images has {self.remaining} left, fewer than this request's new ones"
        return RefusedError(429, told)
