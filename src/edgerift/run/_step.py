"""One step of a study as a worker runs it."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import socket
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO, final

from edgerift.errors import EdgeriftError, StoreError, first_line
from edgerift.run._graph import key_of
from edgerift.run._records import Record, Records, Watch, likeness
from edgerift.settings import Settings, Threads
from edgerift.steps import Recipe, Store, write_whole

_DATA: Final = "EDGERIFT_DATA"

#: This much of a log's end goes to a driver on another machine: it holds the traceback.
_SENT_BYTES: Final = 20_000


@final
class Place(Settings):
    """Where steps run: the store, its mirror, the images, the threads of a step.

    `threads` 0 leaves the number to PyTorch where steps run in this process, and divides the cores of a machine among
    its workers elsewhere. On many machines `store` and `data_root` are paths on each of them: one shared folder, or a
    folder of its own with a common `mirror`.
    """

    store: Path
    mirror: str | None = None
    data_root: Path | None = None
    threads: Threads = 0

    def open_store(self) -> Store:
        """Open the store."""
        return Store(self.store, self.mirror)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Set process-wide state, the threads and the image root, and restore it."""
        import torch

        threads, data = torch.get_num_threads(), os.environ.get(_DATA)
        if self.data_root is not None:
            os.environ[_DATA] = str(self.data_root)
        if self.threads:
            torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            if self.threads:
                torch.set_num_threads(threads)
            if data is not None:
                os.environ[_DATA] = data
            elif self.data_root is not None:
                del os.environ[_DATA]


class Outcome(Settings):
    """The outcome of a step: the seconds it took this time, and a one-line error when it failed.

    `again` says that not the step but its worker failed, so that it may be retried. `log` is the end of the log of a
    step that failed in another process.
    """

    seconds: float
    error: str | None = None
    again: bool = False
    log: str = ""


def run_step(recipe: Recipe, place: Place) -> Outcome:
    """Run one step to its end, with its record and its log; an error of the step is returned, not raised.

    Raises `StoreError` when the disk of the store is full or not writable, which stops all other steps too.
    """
    return _run(recipe, place, alone=False)


def packed(recipe: Recipe, place: Place) -> bytes:
    """Pack a step for another process."""
    return pickle.dumps((recipe, place))


def run_packed(step: bytes) -> Outcome | StoreError:
    """Like `run_step`, for a dedicated process that returns its outcome to another one.

    Output of C++ libraries is in the log as well, and errors of `run_step` are returned.
    """
    try:
        recipe, place = pickle.loads(step)
    except Exception as error:
        told = f"a worker cannot read the step: {_line(error)}; does it have the same modules?"
        return Outcome(seconds=0.0, error=told, log=traceback.format_exc())
    try:
        outcome = _run(recipe, place, alone=True)
    except StoreError as error:
        return StoreError(f"{error} (on {socket.gethostname()})")
    if outcome.error is None:
        return outcome
    return outcome.replace(log=_end_of(Records(place.open_store()).log(key_of(recipe))))


def settle(recipe: Recipe, outcome: Outcome, records: Records) -> Record:
    """Read the record of a finished step, and write it and its log where the step's own are elsewhere or lost."""
    key = key_of(recipe)
    record = records.read(key)
    state = "finished" if outcome.error is None else "failed"
    if record is not None and (record.state, record.error) == (state, outcome.error):
        return record
    settled = Record.model_validate(
        {
            "key": key,
            "step": recipe.type,
            "likeness": likeness(recipe),
            "state": state,
            "seconds": max(outcome.seconds, 0.0 if record is None else record.seconds),
            "host": socket.gethostname() if record is None else record.host,
            "process": os.getpid() if record is None else record.process,
            "beat": time.time(),
            "error": outcome.error,
        }
    )
    records.write(settled)
    log = records.log(key)
    if outcome.error is not None and (outcome.log or not _end_of(log)):
        write_whole(log, outcome.log or f"{outcome.error}\n")
    return settled


def _run(recipe: Recipe, place: Place, *, alone: bool) -> Outcome:
    from edgerift.train import forgotten_sources

    began = time.perf_counter()
    with place.entered(), forgotten_sources():
        store = place.open_store()
        records = Records(store)
        watch = _watched(recipe, records)
        told = None
        with _logged(records.log(key_of(recipe)), alone=alone) as log:
            try:
                with watch.beating():
                    store.get(recipe, watch)
            except (Exception, SystemExit) as error:  # Any error: the other steps of the study continue.
                log.write(traceback.format_exc())
                told = _line(error)
                if _is_full(error):
                    with contextlib.suppress(StoreError):
                        watch.fail(told)
                    raise
        if told is None:
            watch.finish()
        else:
            watch.fail(told)
    return Outcome(seconds=time.perf_counter() - began, error=told)


def _watched(recipe: Recipe, records: Records) -> Watch:
    try:
        return Watch(recipe, records)
    except OSError as error:
        raise StoreError(f"cannot write into {records.folder}: {error.strerror or error}") from error


def _line(error: BaseException) -> str:
    first = first_line(error)
    return first if isinstance(error, EdgeriftError) else f"{type(error).__name__}: {first}"


def _is_full(error: BaseException) -> bool:
    """Return whether the disk of the store failed, as it would for every other step too."""
    cause = error.__cause__
    full = isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    return isinstance(error, StoreError) and full


@contextlib.contextmanager
def _logged(path: Path, *, alone: bool) -> Iterator[TextIO]:
    """Redirect standard output and error to a file."""
    try:
        with (
            path.open("w", encoding="utf-8", buffering=1, errors="backslashreplace") as log,
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
            _descriptors_to(log, alone),
        ):
            yield log
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}; is the disk full?") from error


@contextlib.contextmanager
def _descriptors_to(log: TextIO, alone: bool) -> Iterator[None]:
    if not alone:
        yield
        return
    saved = {number: os.dup(number) for number in (1, 2)}
    try:
        for number in saved:
            os.dup2(log.fileno(), number)
        yield
    finally:
        for number, copy in saved.items():
            os.dup2(copy, number)
            os.close(copy)


def _end_of(path: Path) -> str:
    try:
        return path.read_bytes()[-_SENT_BYTES:].decode(errors="replace")
    except OSError:
        return ""
