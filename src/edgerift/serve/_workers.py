"""Threads that do what is handed to them, at less cost than an executor, and what they hand to an event loop."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar, final

T = TypeVar("T")


@final
class Workers:
    """Threads that take tasks, each the next that waits; they end with :meth:`close`."""

    def __init__(self, count: int, name: str) -> None:
        """Start so many threads."""
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work, name=f"{name}-{one}", daemon=True) for one in range(count)]
        for thread in self._threads:
            thread.start()

    def do(self, task: Callable[[], None]) -> None:
        """Let a task wait for a thread."""
        self._tasks.put(task)

    def close(self) -> None:
        """Do what waits, and end the threads."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:  # The next task is another request's.
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
            del task


@final
class Deliveries(Generic[T]):
    """Results for futures of one event loop, from any thread: all that are there wake the loop once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver to a loop that runs."""
        self.loop = loop
        self._waiting: deque[tuple[asyncio.Future[T], T | BaseException]] = deque()
        self._is_due = False

    def send(self, future: asyncio.Future[T], result: T | BaseException) -> None:
        """Set the result or the exception of a future, soon; a loop that has ended hears of nothing any more."""
        self._waiting.append((future, result))
        # What is appended while it is due is delivered too, since that begins with saying that it is not.
        if not self._is_due and not self.loop.is_closed():
            self._is_due = True
            with suppress(RuntimeError):  # It has ended just now.
                self.loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._is_due = False
        while self._waiting:
            future, result = self._waiting.popleft()
            if future.done():  # Nobody waits any more.
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
