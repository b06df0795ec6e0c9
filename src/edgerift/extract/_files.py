"""Files that ledgers append to: whole writes, locks, and errors of one line."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from filelock import BaseFileLock, FileLock, Timeout

from edgerift.errors import EdgeriftWarning, StoreError
from edgerift.steps import require_regular

_PAGE: Final = 4096


def write_all(file: BinaryIO, content: bytes) -> None:
    """Write all of `content` to an unbuffered file, which may take less at once."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def is_unwritten(content: bytes | bytearray, place: int, row: int) -> bool:
    """Tell whether answers from byte `place` of a file on are what a power cut leaves where the file grew first.

    That is zeros: all of it, or from the beginning of a page on that the last `row` bytes, the last answer, lie behind.
    A mere run of zeros is none: most of an answer that tells the label alone is zeros, but never all of it.
    """
    page = (place + len(content) - row) // _PAGE * _PAGE
    return not any(content[max(0, page - place) :])


def warn_of_zeros(path: Path, images: int, size: int) -> None:
    """Say that the last `size` bytes of a file, behind the answers to some images, are left out."""
    warnings.warn(
        f"{path} ended in zeros behind the answers to {images} images, as a power cut leaves a file; the last {size} "
        "bytes are left out, nothing of them is used, and those images are queried again",
        EdgeriftWarning,
        stacklevel=2,
    )


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
