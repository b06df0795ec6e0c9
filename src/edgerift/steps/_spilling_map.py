"""Whole numbers by keys of 16 bytes, of which only the newest are in memory."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Final, final

from edgerift.errors import StoreError
from edgerift.steps._key_filter import KeyFilter

#: Keys that one statement asks for or adds, so many that every SQLite takes their parameters.
_TOGETHER: Final = 900
_ADDED: Final = 256
#: The database's own memory, in KiB.
_MEMORY: Final = 512


@final
class SpillingMap:
    """A map from keys of 16 bytes, which are hashes, to numbers from 0; only the newest `recent` are in memory.

    When :meth:`settle` finds more, they go to a database in a file without a name in `folder`, which is gone with the
    process. What stays in memory of each are the two to four bytes of a filter, which says of most keys that are not
    there that they are not. What is added is added once: keys are not changed, and only those that
    were not settled can be forgotten. One thread at a time may use it. Raises
    :class:`~edgerift.errors.StoreError` where the file cannot be written; then all keys are still there.
    """

    def __init__(self, folder: Path, recent: int = 256) -> None:
        """Begin empty; the file is made when it is needed."""
        self._folder, self._most = folder, recent
        self._recent: dict[bytes, int] = {}
        self._settled: sqlite3.Connection | None = None
        self._count = 0
        self._filter = KeyFilter()
        #: What the database said last: a query asks for the same keys several times in a row.
        self._said: dict[bytes, int] = {}
        self._absent: set[bytes] = set()

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._recent) + self._count

    def find(self, keys: Sequence[bytes]) -> list[int]:
        """Look keys up: the number of each, -1 where there is none."""
        found = [self._recent.get(key, -1) for key in keys]
        if self._settled is None:
            return found
        others = [key for key, number in zip(keys, found, strict=True) if number < 0]
        self._ask(self._filter.possible(others))
        return [self._said.get(key, -1) if number < 0 else number for key, number in zip(keys, found, strict=True)]

    def absent(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those keys that are not there."""
        left = set(keys).difference(self._recent)
        if self._settled is None or left <= self._absent:
            return left
        possible = self._filter.possible(left)
        self._ask(possible)
        self._absent = left.difference(key for key in possible if self._said[key] >= 0)
        return set(self._absent)

    def add(self, keys: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Add keys that are not there yet."""
        self._recent.update(zip(keys, numbers, strict=True))

    def forget(self, keys: Sequence[bytes]) -> None:
        """Take keys out again that were added since they were settled."""
        for key in keys:
            self._recent.pop(key, None)

    def settle(self) -> None:
        """Move what is in memory to the file, if it has become too much."""
        if len(self._recent) < self._most:
            return
        with _told(self._folder):
            if self._settled is None:
                self._settled = _database(self._folder)
            rows = sorted(self._recent.items())
            for start in range(0, len(rows), _ADDED):
                part = rows[start : start + _ADDED]
                with self._settled:
                    _insert(self._settled, part)
                self._note(self._settled, [key for key, _ in part])
        self._said, self._absent = {}, set()

    def close(self) -> None:
        """Let go of the file, and of all that is in it."""
        if self._settled is not None:
            self._settled.close()
            self._settled = None
        self._recent, self._said, self._absent, self._count, self._filter = {}, {}, set(), 0, KeyFilter()

    def _ask(self, keys: list[bytes]) -> None:
        """Have the database say of keys what it holds."""
        if self._settled is None or self._said.keys() >= set(keys):
            return
        self._said = dict.fromkeys(keys, -1)
        for start in range(0, len(keys), _TOGETHER):
            part = keys[start : start + _TOGETHER]
            marks = ",".join("?" * len(part))
            self._said.update(self._settled.execute(f"SELECT key, number FROM keys WHERE key IN ({marks})", part))

    def _note(self, settled: sqlite3.Connection, keys: list[bytes]) -> None:
        """Tell the filter of keys that were settled, or begin a larger one."""
        self._count += len(keys)
        self.forget(keys)
        if self._count <= self._filter.capacity:
            self._filter.add(keys)
            return
        self._filter = KeyFilter(self._count)
        rows = settled.execute("SELECT key FROM keys")
        while found := [key for (key,) in rows.fetchmany(_TOGETHER)]:
            self._filter.add(found)


def _insert(settled: sqlite3.Connection, rows: list[tuple[bytes, int]]) -> None:
    """Add rows in one step, during which other threads run, instead of in one for each."""
    marks = ",".join(["(?,?)"] * len(rows))
    settled.execute(f"INSERT OR FAIL INTO keys VALUES {marks}", list(chain.from_iterable(rows)))


def _database(folder: Path) -> sqlite3.Connection:
    """Make a database that no other process sees, without its name where the system allows it."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=".keys-")
    os.close(handle)
    made = sqlite3.connect(name, check_same_thread=False)
    try:
        # Nobody opens it again, so nothing has to survive a crash; but a transaction has to fail as a whole.
        for setting in ("locking_mode=EXCLUSIVE", "journal_mode=MEMORY", "synchronous=OFF", f"cache_size=-{_MEMORY}"):
            with closing(made.execute(f"PRAGMA {setting}")) as answer:
                answer.fetchall()
        made.execute("CREATE TABLE keys (key BLOB PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID")
    except BaseException:
        made.close()
        raise
    finally:
        with suppress(OSError):
            Path(name).unlink()
    return made


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"{folder} takes no more keys of what was paid for ({error}); give a folder with free space"
        ) from error
