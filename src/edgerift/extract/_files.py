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
    """Write all of `content` to an unbuffered file, which may need several writes."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def is_unwritten(content: bytes | bytearray, place: int, row: int) -> bool:
    """Return whether the answers from byte `place` of a file on look like a power cut in a file that grew first.

    That means zeros: all of it, or from the start of a page on such that the last `row` bytes, the last answer, lie
    behind it. Other runs of zeros do not count: most of a label-only answer is zeros, but never all of it.
    """
    page = (place + len(content) - row) // _PAGE * _PAGE
    return not any(content[max(0, page - place) :])


def warn_of_zeros(path: Path, images: int, size: int) -> None:
    """Warn that the last `size` bytes of a file, behind the answers to some images, are dropped."""
    warnings.warn(
        f"{path} ended in zeros behind the answers to {images} images, as a power cut can cause; the last {size} "
        "bytes are dropped, and their images are queried again",
        EdgeriftWarning,
        stacklevel=2,
    )


@contextmanager
def disk_errors(path: Path, kind: str = "ledger", outcome: str = "no answer was returned, ") -> Iterator[None]:
    """Turn an `OSError` about a file of a kind into a `StoreError` of one line that also states the outcome."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"the {kind} {path} cannot be read or written ({error.strerror or error}); {outcome}"
            "give a writable location with free space and run again"
        ) from error


def locked(path: Path) -> BaseFileLock:
    """Lock a ledger for this process; raises `StoreError` when another oracle holds it, or when none can be created."""
    require_regular(path)
    # Any thread may close the oracle.
    lock = FileLock(path.with_name(path.name + ".lock"), thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"the ledger {path} is in use by another oracle; close that one first") from None
    return lock
