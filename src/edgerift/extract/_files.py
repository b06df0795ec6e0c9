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
    """A file that stays open for reading and writing until it is closed or nobody refers to it.

    Each call to the system lets other threads run first, so there are few.
    """

    def __init__(self, path: Path) -> None:
        """Open it when it is first needed."""
        self.path = path
        self._file: FileIO | None = None
        self._is = (-1, -1)

    def size(self) -> int:
        """Open the file that has the name now, and return its bytes; raises `OSError` where none has."""
        named = self.path.stat()
        if self._file is None or self._is != (named.st_dev, named.st_ino):
            self.close()
            self._file = FileIO(self.path, "r+b")
            opened = os.fstat(self._file.fileno())
            self._is = opened.st_dev, opened.st_ino
            return opened.st_size
        return named.st_size

    def write(self, place: int, content: bytes) -> None:
        """Write all of `content` at a place, and nothing behind it."""
        file, rest = self._opened(), memoryview(content)
        while rest:
            if hasattr(os, "pwrite"):
                written = os.pwrite(file.fileno(), rest, place)
            else:
                file.seek(place)
                written = file.write(rest)
            rest, place = rest[written:], place + written

    def read(self, place: int, size: int) -> bytes:
        """Read bytes at a place, fewer where the file ends."""
        file = self._opened()
        if hasattr(os, "pread"):
            return os.pread(file.fileno(), size, place)
        file.seek(place)
        return file.read(size)

    def flush(self) -> None:
        """Wait until all that was written is on the disk."""
        os.fsync(self._opened().fileno())

    def truncate(self, size: int) -> None:
        """Cut the file off."""
        self._opened().truncate(size)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self) -> FileIO:
        if self._file is None:
            self.size()
        assert self._file is not None
        return self._file

    def __del__(self) -> None:
        """Let go of the file."""
        self.close()


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
