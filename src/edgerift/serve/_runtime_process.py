"""A build in a process of its own, so that a server reads and writes while it computes."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy import RUNTIMES, Fingerprint, OpenedBuild, open_build
from edgerift.errors import BuildError, first_line
from edgerift.images import ImageShape
from edgerift.run import cores
from edgerift.specification import Specification

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

#: The most images that go to the process at once.
_MOST: Final = 64
_FINE, _FAILED = b"\0", b"\1"
#: How many queries a process has at a time: one that it computes, one that comes next.
_AHEAD: Final = 2
#: The most processes: each opens the file for itself.
_MOST_PROCESSES: Final = 4
#: Seconds that the process has to end.
_PATIENCE: Final = 10


class _Running(NamedTuple):
    processes: tuple[SpawnProcess, ...]
    wires: tuple[Connection, ...]


@final
class ProcessBuild:
    """An opened build that answers from processes of its own; they end with :meth:`close`.

    A runtime may hold Python's lock while it computes, and a server that computes cannot read requests meanwhile. One
    that crashes takes its process with it, and the next query starts another. Several threads may query it: what
    :attr:`lanes` of them ask waits in the processes, so that these never wait for them.

    A runtime that can be told how many threads to use has several processes that share the cores: threads of one
    process wait for each other, and for a core that the server has.
    """

    def __init__(self, build: OpenedBuild, shape: ImageShape, *, trust: bool = False) -> None:
        """Start the process, which opens the same file for images of a shape; raises what opening it raises."""
        self._build, self._shape, self._trust = build, shape, trust
        self._processes = 1 if RUNTIMES[build.runtime].use_threads is None else min(cores(), _MOST_PROCESSES)
        self._lock = threading.Lock()
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for lane in range(self.lanes):
            self._free.put(lane)
        self._running: _Running | None = None
        self._started()

    @property
    def runtime(self) -> str:
        """The runtime's name."""
        return self._build.runtime

    @property
    def path(self) -> Path:
        """The artefact."""
        return self._build.path

    @property
    def lanes(self) -> int:
        """How many queries the processes have at a time."""
        return _AHEAD * self._processes

    @property
    def process_id(self) -> int | None:
        """The id of the first process, None when there is none."""
        return None if self._running is None else self._running.processes[0].pid

    def fingerprint(self) -> Fingerprint:
        """Return what determines the build's answers."""
        return self._build.fingerprint()

    def integer_macs(self) -> float:
        """The share of multiply-accumulates that run in integer kernels."""
        return self._build.integer_macs()

    def predict(self, images: Tensor) -> Tensor:
        """Answer uint8 images `[N,C,H,W]` with float32 scores `[N,K]`.

        Raises :class:`~edgerift.errors.BuildError` for what the build raises, and when its process has ended.
        """
        lane = self._free.get()
        try:
            return torch.cat([self._answered(part, lane) for part in images.split(_MOST)])
        finally:
            self._free.put(lane)

    def close(self) -> None:
        """End the processes, once they have answered."""
        taken = [self._free.get() for _ in range(self.lanes)]
        if self._running is not None:
            self._ended(self._running)
        for lane in taken:
            self._free.put(lane)

    def _answered(self, images: Tensor, lane: int) -> Tensor:
        running = self._started()
        wire = running.wires[lane]
        try:
            wire.send_bytes(images.contiguous().numpy().data.cast("B"))
            reply = wire.recv_bytes()
        except (EOFError, OSError):
            told = self._ended(running)
            raise BuildError(f"the process of {self.path.name} ended ({told}); the next query starts another") from None
        if reply[:1] == _FAILED:
            raise BuildError(reply[1:].decode())
        return torch.from_numpy(np.frombuffer(reply, "<f4", offset=4).reshape(len(images), -1).copy())

    def _started(self) -> _Running:
        with self._lock:
            if self._running is None:
                self._running = self._begun()
            return self._running

    def _begun(self) -> _Running:
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(self.lanes)]
        own, others = tuple(pipe[0] for pipe in pipes), tuple(pipe[1] for pipe in pipes)
        threads = max(1, cores() // self._processes)
        given = (self.path, self.runtime, self._trust, self._build.specification, tuple(self._shape), threads)
        processes = tuple(
            context.Process(
                target=_serve_build,
                args=(others[first :: self._processes], *given),
                name="edgerift-runtime",
                daemon=True,
            )
            for first in range(self._processes)
        )
        for process in processes:
            process.start()
        for other in others:
            other.close()
        running = _Running(processes, own)
        try:
            replies = [wire.recv_bytes() for wire in own[: self._processes]]
        except EOFError:
            raise BuildError(f"the process for {self.path.name} ended ({_last_word(running)}) at its start") from None
        for reply in replies:
            if reply[:1] == _FAILED:
                _last_word(running)
                raise BuildError(reply[1:].decode())
        return running

    def _ended(self, running: _Running) -> str:
        """Say how a process ended, after ending what is left of it."""
        with self._lock:
            if self._running is running:
                self._running = None
            return _last_word(running)


def _last_word(running: _Running) -> str:
    """End what is left of the processes, and say how one of them ended that had not to."""
    for wire in running.wires:
        wire.close()
    for process in running.processes:
        process.join(_PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
    code = next((process.exitcode for process in running.processes if process.exitcode), 0)
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _serve_build(
    wires: tuple[Connection, ...],
    path: Path,
    runtime: str,
    trust: bool,
    specification: Specification,
    shape: tuple[int, ...],
    threads: int,
) -> None:
    """Answer images until the other ends are closed."""
    # Ctrl-C stops the server, which answers what waits before it ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if (use := RUNTIMES[runtime].use_threads) is not None:
            use(threads)
        build = open_build(path, runtime, trust=trust, specification=specification)
    except Exception as error:
        wires[0].send_bytes(_FAILED + first_line(error).encode())
        return
    wires[0].send_bytes(_FINE)
    if RUNTIMES[runtime].packages[0] != "torch":
        # PyTorch prepares the images alone: threads that wait for more take their time from the server's.
        torch.set_num_threads(1)
    with suppress(EOFError, OSError):
        while True:
            for wire in wait(wires):
                assert isinstance(wire, Connection)
                images = torch.frombuffer(bytearray(wire.recv_bytes()), dtype=torch.uint8).reshape(-1, *shape)
                wire.send_bytes(_reply(build, images))


def _reply(build: OpenedBuild, images: Tensor) -> bytes:
    try:
        scores = build.predict(images)
    except Exception as error:
        return _FAILED + first_line(error).encode()
    # The scores begin at a whole number of floats.
    return _FINE * 4 + scores.contiguous().numpy().astype("<f4", copy=False).tobytes()
