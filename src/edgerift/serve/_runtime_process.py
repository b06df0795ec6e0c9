"""A build in a process of its own, so that a server reads and writes while it computes."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import numpy as np
import torch
from torch import Tensor

from edgerift.deploy import Fingerprint, OpenedBuild, open_build
from edgerift.errors import BuildError, first_line
from edgerift.images import ImageShape
from edgerift.specification import Specification

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

#: The most images that go to the process at once.
_MOST: Final = 64
_FINE, _FAILED = b"\0", b"\1"
#: Seconds that the process has to end.
_PATIENCE: Final = 10


@final
class ProcessBuild:
    """An opened build that answers from a process of its own; it ends with :meth:`close`.

    A runtime may hold Python's lock while it computes, and a server that computes cannot read requests meanwhile. One
    that crashes takes its process with it, and the next query starts another. Not for several threads at a time.
    """

    def __init__(self, build: OpenedBuild, shape: ImageShape, *, trust: bool = False) -> None:
        """Start the process, which opens the same file for images of a shape; raises what opening it raises."""
        self._build, self._shape, self._trust = build, shape, trust
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._wire: Connection | None = None
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
    def process_id(self) -> int | None:
        """The id of the process, None when there is none."""
        return None if self._process is None else self._process.pid

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
        with self._lock:
            return torch.cat([self._answered(part) for part in images.split(_MOST)])

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._ended()

    def _answered(self, images: Tensor) -> Tensor:
        wire = self._started()
        try:
            wire.send_bytes(images.contiguous().numpy().data.cast("B"))
            reply = wire.recv_bytes()
        except (EOFError, OSError):
            told = self._ended()
            raise BuildError(f"the process of {self.path.name} ended ({told}); the next query starts another") from None
        if reply[:1] == _FAILED:
            raise BuildError(reply[1:].decode())
        return torch.from_numpy(np.frombuffer(reply, "<f4", offset=4).reshape(len(images), -1).copy())

    def _started(self) -> Connection:
        if self._wire is not None:
            return self._wire
        context = multiprocessing.get_context("spawn")
        self._wire, other = context.Pipe()
        given = (other, self.path, self.runtime, self._trust, self._build.specification, tuple(self._shape))
        self._process = context.Process(target=_serve_build, args=given, name="edgerift-runtime", daemon=True)
        self._process.start()
        other.close()
        try:
            reply = self._wire.recv_bytes()
        except EOFError:
            raise BuildError(f"the process for {self.path.name} ended ({self._ended()}) before it began") from None
        if reply[:1] == _FAILED:
            self._ended()
            raise BuildError(reply[1:].decode())
        return self._wire

    def _ended(self) -> str:
        """End what is left of the process, and say how it ended."""
        process, wire, self._process, self._wire = self._process, self._wire, None, None
        if wire is not None:
            wire.close()
        if process is None:
            return "it was closed"
        process.join(_PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = process.exitcode or 0
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _serve_build(
    wire: Connection, path: Path, runtime: str, trust: bool, specification: Specification, shape: tuple[int, ...]
) -> None:
    """Answer images until the other end is closed."""
    # Ctrl-C stops the server, which answers what waits before it ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        build = open_build(path, runtime, trust=trust, specification=specification)
    except Exception as error:
        wire.send_bytes(_FAILED + first_line(error).encode())
        return
    wire.send_bytes(_FINE)
    with suppress(EOFError, OSError):
        while True:
            images = torch.frombuffer(bytearray(wire.recv_bytes()), dtype=torch.uint8).reshape(-1, *shape)
            wire.send_bytes(_reply(build, images))


def _reply(build: OpenedBuild, images: Tensor) -> bytes:
    try:
        scores = build.predict(images)
    except Exception as error:
        return _FAILED + first_line(error).encode()
    # The scores begin at a whole number of floats.
    return _FINE * 4 + scores.contiguous().numpy().astype("<f4", copy=False).tobytes()
