"""Where an open ledger has its answers: in memory, or in its own file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, Protocol, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from edgerift.errors import StoreError
from edgerift.extract._files import KeptOpen, disk_errors
from edgerift.steps import SpillingMap

_FIRST_ROWS: Final = 1024

Answers: TypeAlias = NDArray[np.float32]


class KeptRows(Protocol):
    """The answers of a ledger by image; keys and answers `[N,K]` are added together, in the order of the file."""

    classes: int | None

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def unknown(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those keys that are not here."""
        ...

    def add(self, keys: Sequence[bytes], rows: Answers, place: int) -> None:
        """Add rows to new keys; the first row stands at that byte of the file."""
        ...

    def cut(self, count: int) -> None:
        """Forget all but the first `count`, at least as many as were settled."""
        ...

    def settle(self) -> None:
        """Hear that all of them are on disk."""
        ...

    def answers(self, keys: Sequence[bytes]) -> Answers:
        """Look up float32 `[N,K]`; all keys have to be here."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


@final
class RowsInMemory:
    """Answers in memory, which stay there when the ledger is closed."""

    def __init__(self) -> None:
        """Begin empty."""
        self.classes: int | None = None
        self._rows: dict[bytes, int] = {}
        self._answers: Answers | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._rows)

    def unknown(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those keys that are not here."""
        return set(keys).difference(self._rows)

    def add(self, keys: Sequence[bytes], rows: Answers, place: int) -> None:
        """Add rows to new keys."""
        first, needed = len(self), len(self) + len(rows)
        self.classes = rows.shape[1]
        if self._answers is None:
            self._answers = np.empty((_FIRST_ROWS, self.classes), np.float32)
        if needed > len(self._answers):
            grown = np.empty((max(needed, 2 * len(self._answers)), self.classes), np.float32)
            grown[:first] = self._answers[:first]
            self._answers = grown
        self._answers[first:needed] = rows
        self._rows.update(zip(keys, range(first, needed), strict=True))

    def cut(self, count: int) -> None:
        """Forget all but the first."""
        self._rows = dict(islice(self._rows.items(), count))

    def settle(self) -> None:
        """Nothing is moved."""

    def answers(self, keys: Sequence[bytes]) -> Answers:
        """Look up float32 `[N,K]`."""
        assert self._answers is not None
        places = np.fromiter(map(self._rows.__getitem__, keys), np.int64, len(keys))
        found: Answers = self._answers[places]
        return found

    def close(self) -> None:
        """There is no file."""


@final
class RowsInFile:
    """Answers that are read from the ledger's file whenever they are needed; memory does not grow with them."""

    def __init__(self, file: KeptOpen) -> None:
        """Begin empty, for a ledger whose folder exists."""
        self.classes: int | None = None
        self._file = file
        self._places = SpillingMap(file.path.parent)
        self._unsettled: list[bytes] = []
        self._is_closed = False

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._places)

    def unknown(self, keys: Iterable[bytes]) -> set[bytes]:
        """Return those keys that are not here."""
        return self._places.absent(keys)

    def add(self, keys: Sequence[bytes], rows: Answers, place: int) -> None:
        """Add rows to new keys; the first row stands at that byte of the file."""
        self.classes = rows.shape[1]
        self._places.add(keys, range(place, place + 4 * rows.size, 4 * self.classes))
        self._unsettled += keys

    def cut(self, count: int) -> None:
        """Forget all but the first."""
        left = count - (len(self) - len(self._unsettled))
        self._places.forget(self._unsettled[left:])
        del self._unsettled[left:]

    def settle(self) -> None:
        """Move the keys out of memory when they have become many."""
        self._unsettled = []
        self._places.settle()

    def answers(self, keys: Sequence[bytes]) -> Answers:
        """Look up float32 `[N,K]`, rows that stand together with one reading."""
        if self._is_closed or self.classes is None:
            raise StoreError(f"the ledger {self._file.path} is closed; make a new oracle with it to read its answers")
        size, places = 4 * self.classes, self._places.find(keys)
        parts, start = [], 0
        with disk_errors(self._file.path):
            for end in range(1, len(places) + 1):
                if end == len(places) or places[end] != places[end - 1] + size:
                    parts.append(self._read(places[start], size * (end - start)))
                    start = end
        return np.frombuffer(b"".join(parts), "<f4").reshape(len(keys), -1).astype(np.float32)

    def close(self) -> None:
        """Let go of the file of places."""
        self._is_closed = True
        self._places.close()

    def _read(self, place: int, size: int) -> bytes:
        content = self._file.read(place, size)
        if len(content) != size:
            raise StoreError(f"the ledger {self._file.path} was cut short by somebody else; delete it to start over")
        return content
