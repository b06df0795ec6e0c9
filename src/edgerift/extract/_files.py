"""Files that ledgers append to: whole writes, locks, and errors of one line."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final, final

from filelock import BaseFileLock, FileLock, Timeout

from edgerift.errors import EdgeriftWarning, StoreError
from edgerift.steps import require_regular

_PAGE: Final = 4096


@final
class KeptOpen:
    """A file that stays open for reading and writing, unbuffered, until it is closed or nobody refers to it."""

    def __init__(self, path: Path) -> None:
        """Open it when it is first needed."""
        self.path = path
        self._file: FileIO | None = None

    def opened(self) -> FileIO:
        """Return the file that has the name now; raises `OSError` where none has."""
        named = os.stat(self.path)
        if self._file is None or not os.path.samestat(named, os.fstat(self._file.fileno())):
            self.close()
            self._file = FileIO(self.path, "r+b")
        return self._file

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        """Let go of the file."""
        self.close()


def write_all(file: BinaryIO | FileIO, content: bytes) -> None:
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
