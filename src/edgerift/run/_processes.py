"""Steps in processes of this machine, one step a process at a time, so that a death tells which step it was."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Final, final

from edgerift.errors import InputError, StoreError
from edgerift.run._graph import Key
from edgerift.run._serving import START
from edgerift.run._step import Outcome, Place, packed
from edgerift.steps import Recipe

_THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

#: Threads that wait by spinning slow the other workers down; after this many turns they sleep.
_PATIENCE: Final = {"GOMP_SPINCOUNT": "10000"}


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@final
class Processes:
    """Some processes of this machine, as many as it has cores unless told.

    Each starts when the first step needs it, and runs one step at a time with its share of the cores as threads unless
    the place says otherwise. When one dies its step may be tried again, in a new process. They are out of Ctrl-C's
    reach and end with this process, however it ends.
    """

    def __init__(self, place: Place, count: int | None = None) -> None:
        """Raises `InputError` for less than one process."""
        self.capacity = cores() if count is None else count
        if self.capacity < 1:
            raise InputError(f"{count} worker processes are too few; give 1 or more")
        self._place = place.replace(threads=place.threads or max(1, cores() // self.capacity))
        self._free: list[_Worker] = []
        self._running = selectors.DefaultSelector()

    def start(self, key: Key, recipe: Recipe) -> None:
        """Start a step in a process that is free."""
        while self._free:
            worker = self._free.pop()
            if worker.is_alive:
                break
            worker.end()
        else:
            worker = _Worker(self._place.threads)
        self._running.register(worker.answers, selectors.EVENT_READ, (key, worker))
        worker.send(packed(recipe, self._place))

    def collect(self) -> Mapping[Key, Outcome]:
        """Wait until a step or its process ends."""
        found: dict[Key, Outcome] = {}
        for ready, _ in self._running.select():
            key, worker = ready.data
            self._running.unregister(worker.answers)
            answer = worker.answer()
            if answer is None:
                found[key] = Outcome(seconds=0.0, error=worker.end(), again=True)
                continue
            self._free.append(worker)
            if isinstance(answer, StoreError):
                raise answer
            found[key] = answer
        return found

    def close(self) -> None:
        """Stop the processes, at once: a step resumes where it stopped when it is run again."""
        busy = [running.data[1] for running in (self._running.get_map() or {}).values()]
        workers = [*self._free, *busy]
        # All of them first: who is in a hurry may press Ctrl-C again while they end.
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.end()
        self._free = []
        self._running.close()


@final
class _Worker:
    """One process, and the pipes to and from it."""

    def __init__(self, threads: int) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=_PATIENCE | os.environ | dict.fromkeys(_THREADS, str(threads)),
            process_group=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._steps, self.answers = self._process.stdin, self._process.stdout

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send(self, step: bytes) -> None:
        """Send a step, as bytes that can be taken from the pipe whatever is in them."""
        # When the process is gone the pipe of its answers tells.
        with contextlib.suppress(BrokenPipeError):
            pickle.dump(step, self._steps)
            self._steps.flush()

    def answer(self) -> Outcome | StoreError | None:
        """Read what became of the step; None when the process died of it."""
        try:
            found = pickle.load(self.answers)
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        assert isinstance(found, Outcome | StoreError)
        return found

    def stop(self) -> None:
        """Kill the process and all it started, if it lives."""
        # Once it was waited for, its number may be that of a stranger.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> str:
        """Stop the process, let go of all that was held for it, and say how it ended."""
        self.stop()
        code = self._process.wait()
        for pipe in (self._steps, self.answers):
            with contextlib.suppress(OSError):
                pipe.close()
        self._said.seek(0)
        last = self._said.read().decode(errors="replace").strip().rpartition("\n")[2]
        self._said.close()
        if code < 0:
            return f"its worker was killed by {signal.Signals(-code).name}"
        return f"its worker ended with exit code {code}{f' ({last})' if last else ''}"
