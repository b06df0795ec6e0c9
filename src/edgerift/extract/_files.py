"""Files that ledgers append to: whole writes, locks, and errors of one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import BaseFileLock, FileLock, Timeout

from edgerift.errors import StoreError


def write_all(file: BinaryIO, content: bytes) -> None:
    """Write all of `content` to an unbuffered file, which may take less at once."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def disk_errors(path: Path, kind: str = "ledger", outcome: str = "no answer was handed out, ") -> Iterator[None]:
    """Turn an `OSError` about a file of a kind into a `StoreError` of one line, which also tells what came of it."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the {kind} {path} cannot be read or written ({error.strerror or error}); {outcome}"
            "give a place with free space that you may write to and run again"
        ) from error


def locked(path: Path) -> BaseFileLock:
    """Lock a ledger for this process; raises `StoreError` when another oracle has it."""
    # Any thread may close the oracle.
    lock = FileLock(path.with_name(path.name + ".lock"), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"the ledger {path} is in use by another oracle; close that one first") from None
    return lock
