"""Files that ledgers append to: whole writes, locks, and errors of one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from filelock import BaseFileLock, FileLock, Timeout

from edgerift.errors import StoreError
from edgerift.steps import require_regular

_PAGE: Final = 4096
#: Fewer zeros at the end may be answers.
_FEW: Final = 64


def write_all(file: BinaryIO, content: bytes) -> None:
    """Write all of `content` to an unbuffered file, which may take less at once."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def is_unwritten(content: bytes | bytearray, place: int) -> bool:
    """Tell whether content from byte `place` of a file on is what a power cut leaves where the file grew first.

    That is zeros: all of it, or from the beginning of its last page on, which a flipped bit does not make.
    """
    end = place + len(content)
    page = (end - _FEW) // _PAGE * _PAGE
    return not any(content[max(0, page - place) :])


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
    """Lock a ledger for this process; raises `StoreError` when another oracle has it, and where no ledger can be."""
    require_regular(path)
    # Any thread may close the oracle.
    lock = FileLock(path.with_name(path.name + ".lock"), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"the ledger {path} is in use by another oracle; close that one first") from None
    return lock
