"""A folder of results that is replaced as a whole and has one writer at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

from edgerift.errors import StoreError
from edgerift.steps._switch import dispose, new_stage, owned_files, recover, require_room, switch
from edgerift.steps._writing import disk_errors


@final
class HeldFolder:
    """A folder that this process holds; :func:`held_folder` makes it."""

    def __init__(self, path: Path) -> None:
        """Hold `path`; raises `StoreError` when another process does."""
        self.path = path
        self._descriptors = [_locked(path)]

    def close(self) -> None:
        """Release the folder."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()

    def require_room(self, expected: Mapping[str, str | None], *, known: Iterable[str] = ()) -> None:
        """Check that files of these names can be written: none is a file of the user's own, or below one.

        A name comes with the SHA-256 that its file will have, where that is known, since the user's own file of the
        same content is not in the way. `known` is that of :meth:`replaced`. Raises `StoreError`.
        """
        with disk_errors(self.path):
            require_room(self.path, owned_files(self.path, known), expected)

    @contextmanager
    def replaced(self, *, last: str, known: Iterable[str] = ()) -> Iterator[Path]:
        """Yield an empty folder; at the end of the block its files replace those that were written before.

        A reader sees all old files or all new ones, also after a kill at any moment. Where the folder cannot be swapped
        atomically (it holds user files, it is a mount, the system lacks the operation) the old files are removed first,
        and for a moment some of either are missing; `last` is removed first and written last. The files written before
        are listed in the folder; for one without a list they are `known`. All other files are the user's own and stay.
        When the block raises, nothing changes. Raises `StoreError` for a file of the user's own that is in the way and
        differs.
        """
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            owned = owned_files(self.path, known)
            staged = new_stage(self.path, owned)
        try:
            # After the swap this is the folder that another process may want to hold.
            self._descriptors.append(_locked(staged))
            yield staged
            with disk_errors(self.path):
                switch(staged, self.path, owned, last)
        finally:
            if staged.is_dir():
                with suppress(OSError, StoreError):
                    dispose(staged, self.path)


@contextmanager
def held_folder(path: Path) -> Iterator[HeldFolder]:
    """Hold a folder, made when it is missing, so that one process alone writes into it.

    The operating system releases it when the process ends in any way, and no lock file remains. An unfinished switch of
    a killed process is completed first. A folder that was created and is still empty at the end is removed. Raises
    `StoreError` when another process holds the folder, or when it cannot be used. On file systems without folder locks
    there is no exclusion.
    """
    path = Path(path)
    is_new = not path.exists()
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        held = HeldFolder(path.resolve())
    try:
        with disk_errors(path):
            recover(held.path)
        yield held
    finally:
        held.close()
        if is_new:
            with suppress(OSError):
                path.rmdir()


def _locked(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StoreError(
                f"another process is writing into {path}; wait until it has ended, or choose another folder"
            ) from None
        except OSError:
            return descriptor
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        # Between the two steps another folder replaced this one.
        os.close(descriptor)
