"""The ids of a client's requests, each with what was asked under it: on disk before the request is paid for."""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, final

import numpy as np
import xxhash

from edgerift.errors import StoreError
from edgerift.serve._errors import RefusedError
from edgerift.serve._protocol import Pixels
from edgerift.steps import SpillingMap, require_regular, write_whole

_HASH: Final = 16
_RECORD: Final = 2 * _HASH
#: Records that are read at a time.
_READ: Final = 4096


@final
class RequestIds:
    """The last ids of a client, at least `most`, and the images that came with each, by their hashes of 16 bytes.

    An id that comes again has to come with the same images. The file is appended to, one record of 32 bytes for each
    new id, and written again when it has twice as many as are to be remembered. A process that is killed loses none of
    them. Memory holds the newest alone.
    """

    def __init__(self, path: Path | None, most: int = 65_536) -> None:
        """Read or begin a file; None keeps the last ids in memory. Raises `StoreError` where it cannot be used."""
        self._most = most
        self._known: SpillingMap | None = None
        self._newest: OrderedDict[bytes, int] = OrderedDict()
        self._file: BinaryIO | None = None
        self._path, self._written = path, 0
        if path is not None:
            require_regular(path)
            with _disk_errors(path):
                self._open(path)

    def claim(self, identity: str, images: Pixels) -> None:
        """Note an id ("" for none) with its images; raises :class:`RefusedError` when it came with other ones."""
        if not identity:
            return
        key = xxhash.xxh3_128_digest(identity.encode())
        content = xxhash.xxh3_128_digest(np.ascontiguousarray(images).data)
        known = self._newest.get(key, -1) if self._known is None else self._known.find([key])[0]
        if known == _short(content):
            return
        if known >= 0:
            raise RefusedError(409, "this 'id' came before with other images; give each request an id of its own")
        if self._known is not None and self._path is not None:
            with _disk_errors(self._path):
                self._append(self._known, self._path, key + content)
            return
        self._newest[key] = _short(content)
        while len(self._newest) > self._most:
            self._newest.popitem(last=False)

    def close(self) -> None:
        """Let go of the files."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._known is not None:
            self._known.close()

    def _open(self, path: Path) -> None:
        size = path.stat().st_size if path.exists() else 0
        whole = size // _RECORD * _RECORD
        if whole < size or whole > 2 * self._most * _RECORD:
            _keep_last(path, whole, self._most)
        self._known = SpillingMap(path.parent)
        self._file = path.open("ab", buffering=0)
        with path.open("rb") as file:
            while records := file.read(_READ * _RECORD):
                self._remember(self._known, records)
        self._written = self._file.tell() // _RECORD

    def _remember(self, known: SpillingMap, records: bytes) -> None:
        pairs = [records[start : start + _RECORD] for start in range(0, len(records), _RECORD)]
        known.add([pair[:_HASH] for pair in pairs], [_short(pair[_HASH:]) for pair in pairs])
        known.settle()

    def _append(self, known: SpillingMap, path: Path, record: bytes) -> None:
        if self._file is None:
            raise StoreError(f"the ids in {path} are closed; start the server again")
        if self._file.write(record) != _RECORD:  # All later records would stand at the wrong places.
            self._file.truncate(self._written * _RECORD)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._written += 1
        known.add([record[:_HASH]], [_short(record[_HASH:])])
        known.settle()
        if self._written > 2 * self._most:
            self.close()
            _keep_last(path, self._written * _RECORD, self._most)
            self._open(path)


def _short(content: bytes) -> int:
    """Half of a hash, as a number from 0."""
    return int.from_bytes(content[:8], "little") >> 1


def _keep_last(path: Path, whole: int, most: int) -> None:
    with path.open("rb") as file:
        file.seek(max(0, whole - most * _RECORD))
        content = file.read(min(whole, most * _RECORD))
    write_whole(path, content)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be read or written ({error.strerror}); give a folder with free space")
