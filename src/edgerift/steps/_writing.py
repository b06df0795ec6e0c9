"""Files that are on the disk whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgerift.errors import StoreError

UNFINISHED = ".edgerift-part"


def write_whole(path: Path, data: bytes | str) -> None:
    """Write a file so that a kill or a power cut leaves the old content or the new one, never a part.

    The data goes to a file beside `path`, is flushed to the disk, and takes the name `path` in one step; text
    is written as UTF-8. Raises `StoreError` when the disk or the folder refuses, and where `path` is a device, a socket
    or another special file, or a link to one: that stays as it is.
    """
    path = Path(path)
    require_regular(path)
    beside = path.with_name(f".{uuid.uuid4().hex}{UNFINISHED}")
    content = data.encode() if isinstance(data, str) else data
    with disk_errors(path):
        try:
            with beside.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        sync(path.parent)


def require_regular(path: Path) -> None:
    """Make sure that a name which is to be written leads to a file, a folder or nothing; raises `StoreError`."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        # Whoever writes there meets the same.
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise StoreError(f"{path} is not a regular file; give the name of a file, which may be a new one")


def sync(path: Path) -> None:
    """Flush a file, or the list of names of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below `folder`, then `folder` itself, to the disk."""
    for entry in folder.iterdir():
        if entry.is_symlink():
            continue
        if entry.is_dir():
            sync_tree(entry)
        else:
            sync(entry)
    sync(folder)


def remove_unfinished(folder: Path, *, below: bool = True) -> None:
    """Remove what a killed `write_whole` left beside its files in `folder` and, by default, below it."""
    pattern = f".*{UNFINISHED}"
    for leftover in folder.rglob(pattern) if below else folder.glob(pattern):
        leftover.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` about `path` into a `StoreError` of one line."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> StoreError:
    """Word an `OSError` about `path`: what failed, why, and what to do."""
    if is_full(error):
        return StoreError(
            f"the disk is full: {path} cannot be written, {_free_space(path)}; "
            "free some space or choose a folder on another disk"
        )
    reason = error.strerror or str(error)
    return StoreError(f"cannot use {path}: {reason}; give a folder that exists and that you may write to")


def is_full(error: OSError) -> bool:
    """Tell whether an error says that the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _free_space(path: Path) -> str:
    existing = next((folder for folder in (path, *path.parents) if folder.exists()), None)
    if existing is None:
        return "free space unknown"
    return f"{shutil.disk_usage(existing).free / 1e6:.1f} MB are free"
