"""The ids of a client's requests, each with what was asked under it: on disk before the request is paid for."""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, Final, final

import xxhash
from torch import Tensor

from edgerift.errors import StoreError
from edgerift.serve._errors import RefusedError
from edgerift.steps import require_regular, write_whole

_HASH: Final = 16
_RECORD: Final = 2 * _HASH


@final
class RequestIds:
    """The last ids of a client and the images that came with each, by their hashes of 16 bytes.

    An id that comes again has to come with the same images. The file is appended to, one record of 32 bytes for each
    new id, and written again when it has twice as many as are remembered. A process that is killed loses none of them.
    """

    def __init__(self, path: Path | None, most: int = 65_536) -> None:
        """Read or begin a file; None keeps them in memory alone. Raises `StoreError` where it cannot be used."""
        self._most = most
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._file: BinaryIO | None = None
        self._path, self._written = path, 0
        if path is not None:
            require_regular(path)
            try:
                self._open(path)
            except OSError as error:
                raise _unusable(path, error) from error

    def claim(self, identity: str, images: Tensor) -> None:
        """Note an id ("" for none) with its images; raises :class:`RefusedError` when it came with other ones."""
        if not identity:
            return
        key = xxhash.xxh3_128_digest(identity.encode())
        content = xxhash.xxh3_128_digest(images.contiguous().numpy().data)
        known = self._known.get(key)
        if known == content:
            self._known.move_to_end(key)
            return
        if known is not None:
            raise RefusedError(409, "this 'id' came before with other images; give each request an id of its own")
        self._append(key + content)
        self._known[key] = content
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, path: Path) -> None:
        content = path.read_bytes() if path.exists() else b""
        whole = len(content) // _RECORD * _RECORD
        for start in range(0, whole, _RECORD):
            self._known[content[start : start + _HASH]] = content[start + _HASH : start + _RECORD]
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        if whole < len(content) or whole > 2 * self._most * _RECORD:
            write_whole(path, self._all())
        self._file = path.open("ab", buffering=0)
        self._written = self._file.tell() // _RECORD

    def _append(self, record: bytes) -> None:
        if self._file is None or self._path is None:
            return
        try:
            if self._file.write(record) != _RECORD:  # All later records would stand at the wrong places.
                self._file.truncate(self._written * _RECORD)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._written += 1
            if self._written > 2 * self._most:
                self.close()
                write_whole(self._path, self._all())
                self._file = self._path.open("ab", buffering=0)
                self._written = len(self._known)
        except OSError as error:
            raise _unusable(self._path, error) from error

    def _all(self) -> bytes:
        return b"".join(key + content for key, content in self._known.items())


def _unusable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path} cannot be read or written ({error.strerror}); give a folder with free space")
