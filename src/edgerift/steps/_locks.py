"""Locks between processes whose files do not outlive them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout, UnixFileLock


def let_go(lock: BaseFileLock) -> None:
    """Release a lock that is held, and remove its file.

    The file is removed while the lock is held. A waiting process then holds an unlinked file, which `filelock` detects,
    and it retries. Where a lock is the file itself, releasing it removes it.
    """
    if isinstance(lock, UnixFileLock):
        with suppress(OSError):
            Path(lock.lock_file).unlink()
    lock.release()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the lock `path` and hold it."""
    lock = lock_in_turn(path)
    try:
        yield
    finally:
        let_go(lock)


def lock_in_turn(path: Path, waiting: Callable[[], None] = lambda: None) -> BaseFileLock:
    """Take the lock `path`; call `waiting` first when another process holds it."""
    lock = try_lock(path)
    if lock is None:
        waiting()
        lock = FileLock(path)
        lock.acquire()
    return lock


def try_lock(path: Path) -> BaseFileLock | None:
    """Take the lock `path` if it is free; raises `OSError` when its folder cannot be written."""
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return None
    return lock


def is_held(path: Path) -> bool:
    """Return whether a process or thread on this machine holds the lock `path`; a stale file is removed."""
    if not path.exists():
        return False
    lock = try_lock(path)
    if lock is None:
        return True
    let_go(lock)
    return False
