"""Whole numbers by keys of 16 bytes, of which only the newest are in memory."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

_KEY: Final = 16
#: A place holds a key as two numbers and a value, which is one more than what is kept: 0 is an empty place.
_PLACE: Final = 3
_FIRST_PLACES: Final = 4096
#: How full the table may be, and how many entries of a smaller one are moved together.
_FULL: Final = 0.6
_MOVED: Final = 32_768
#: Keys after which the pages that were looked at are given back.
_LOOKED_AT: Final = 256

Words: TypeAlias = NDArray[np.uint64]


@final
class SpillingMap:
    """A map from keys of 16 random bytes (hashes) to numbers from 0, which takes the same memory however large it is.

    The newest `recent` are in memory; when :meth:`settle` finds more, they go to a table in a file without a name in
    `folder`, which is gone with the process. What is added is added once: keys are not changed, and only those that
    were not settled can be forgotten. One thread at a time may use it.
    """

    def __init__(self, folder: Path, recent: int = 256) -> None:
        """Begin empty; the file is made when it is needed."""
        self._folder, self._most = folder, recent
        self._recent: dict[bytes, int] = {}
        self._table: _Table | None = None

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._recent) + (0 if self._table is None else self._table.count)

    def find(self, keys: Sequence[bytes]) -> list[int]:
        """Look keys up: the number of each, -1 where there is none."""
        found = [self._recent.get(key, -1) for key in keys]
        if self._table is None:
            return found
        places = [place for place, number in enumerate(found) if number < 0]
        if places:
            settled = self._table.find(_words([keys[place] for place in places]))
            for place, number in zip(places, settled.tolist(), strict=True):
                found[place] = number
        return found

    def add(self, keys: Sequence[bytes], numbers: Sequence[int]) -> None:
        """Add keys that are not there yet."""
        self._recent.update(zip(keys, numbers, strict=True))

    def forget(self, keys: Sequence[bytes]) -> None:
        """Take keys out again that were added since they were settled."""
        for key in keys:
            self._recent.pop(key, None)

    def settle(self) -> None:
        """Move what is in memory to the file, if it has become too much; raises `OSError` where that is full."""
        if len(self._recent) < self._most:
            return
        if self._table is None:
            self._table = _Table(self._folder)
        self._table.add(_words(list(self._recent)), np.fromiter(self._recent.values(), np.uint64, len(self._recent)))
        self._recent = {}

    def close(self) -> None:
        """Let go of the file, and of all that is in it."""
        if self._table is not None:
            self._table.close()
            self._table = None
        self._recent = {}


class _Table:
    """A hash table with linear probing in a file that is mapped into memory."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.count, self._looked_at = folder, 0, 0
        self._map, self._places = _mapped(folder, _FIRST_PLACES)

    def find(self, keys: Words) -> NDArray[np.int64]:
        self._look(len(keys))
        found = np.full(len(keys), -1, np.int64)
        place, left = self._first(keys), np.arange(len(keys))
        while len(left):
            rows = self._places[place[left]]
            is_empty = rows[:, 2] == 0
            is_same = (rows[:, :2] == keys[left]).all(1) & ~is_empty
            found[left[is_same]] = rows[is_same, 2].astype(np.int64) - 1
            left = left[~(is_empty | is_same)]
            place[left] = self._next(place[left])
        return found

    def add(self, keys: Words, numbers: Words) -> None:
        if self.count + len(keys) > _FULL * len(self._places):
            self._grow(self.count + len(keys))
        self._put(keys, numbers + np.uint64(1))
        self.count += len(keys)
        self._look(_LOOKED_AT)

    def close(self) -> None:
        self._places = np.empty((0, _PLACE), np.uint64)
        self._map.close()

    def _put(self, keys: Words, values: Words) -> None:
        place, left = self._first(keys), np.arange(len(keys))
        while len(left):
            free = left[self._places[place[left], 2] == 0]
            _, first = np.unique(place[free], return_index=True)  # Of several for one place the first has it.
            chosen = free[first]
            self._places[place[chosen], :2] = keys[chosen]
            self._places[place[chosen], 2] = values[chosen]
            left = np.setdiff1d(left, chosen, assume_unique=True)
            place[left] = self._next(place[left])

    def _grow(self, needed: int) -> None:
        old_map, old, places = self._map, self._places, len(self._places)
        while needed > _FULL * places / 2:
            places *= 2
        self._map, self._places = _mapped(self._folder, places)
        for start in range(0, len(old), _MOVED):
            part = old[start : start + _MOVED]
            part = part[part[:, 2] != 0]
            self._put(part[:, :2], part[:, 2])
            self._look(_LOOKED_AT)
            _give_back(old_map)
        del old, part
        old_map.close()

    def _first(self, keys: Words) -> NDArray[np.int64]:
        return (keys[:, 0] & np.uint64(len(self._places) - 1)).astype(np.int64)

    def _next(self, place: NDArray[np.int64]) -> NDArray[np.int64]:
        return (place + 1) & (len(self._places) - 1)

    def _look(self, keys: int) -> None:
        self._looked_at += keys
        if self._looked_at >= _LOOKED_AT:
            self._looked_at = 0
            _give_back(self._map)


def _words(keys: Sequence[bytes]) -> Words:
    return np.frombuffer(b"".join(keys), np.uint64).reshape(len(keys), 2)


def _mapped(folder: Path, places: int) -> tuple[mmap.mmap, Words]:
    with tempfile.TemporaryFile(dir=folder) as file:
        size = places * _PLACE * 8
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)  # A disk that is full is an error here and no crash later.
        else:
            file.truncate(size)
        mapped = mmap.mmap(file.fileno(), size)
    return mapped, np.frombuffer(mapped, np.uint64).reshape(places, _PLACE)


def _give_back(mapped: mmap.mmap) -> None:
    """Let the system have the pages again; what is in them stays in the file."""
    if hasattr(mapped, "madvise") and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
