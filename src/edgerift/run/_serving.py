"""A worker process: steps in on one pipe, their outcomes out on another."""

from __future__ import annotations

import faulthandler
import os
import pickle
import queue
import signal
import threading
from pathlib import Path
from typing import IO, Final

from edgerift.run._step import run_packed
from edgerift.train import keep_freed_memory

#: The code that turns a new Python into a worker. It uses the module path of the parent process, which is set before
#: the first import.
START: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import edgerift.run._serving as s; s.serve()"


def serve() -> None:
    """Run the steps from standard input, one after another, until it is closed."""
    # Ctrl-C is for the parent process, which stops this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    keep_freed_memory()
    came, told = _pipes()
    steps: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(came, steps), daemon=True).start()
    while True:
        pickle.dump(run_packed(steps.get()), told)
        told.flush()


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Reserve standard input and output for the steps: libraries that read or write do not interfere."""
    came = os.fdopen(os.dup(0), "rb")
    told = os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return came, told


def _listen(came: IO[bytes], steps: queue.SimpleQueue[bytes]) -> None:
    """Forward the input; when the pipe closes the parent is gone, and this process ends."""
    try:
        while True:
            steps.put(pickle.load(came))
    except (EOFError, OSError, pickle.UnpicklingError):
        # The group is this process and its steps' children.
        os.killpg(os.getpgrp(), signal.SIGKILL)
