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

#: What a new Python runs to become a worker. The modules of the process that started it are found where that one finds
#: them, and that is known before the first of them is imported.
START: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); import edgerift.run._serving as s; s.serve()"


def serve() -> None:
    """Run what comes in on standard input, one step after another, until it is closed."""
    # Ctrl-C is for the process that started this one, which stops it.
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
    """Take standard input and output for the steps alone: nothing that a library reads or writes disturbs them."""
    came = os.fdopen(os.dup(0), "rb")
    told = os.fdopen(os.dup(1), "wb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return came, told


def _listen(came: IO[bytes], steps: queue.SimpleQueue[bytes]) -> None:
    """Pass on what comes in; when the pipe ends the process that started this one is gone, and all ends here."""
    try:
        while True:
            steps.put(pickle.load(came))
    except (EOFError, OSError, pickle.UnpicklingError):
        # The group is this process and what its steps have started.
        os.killpg(os.getpgrp(), signal.SIGKILL)
