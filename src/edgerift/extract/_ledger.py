"""The ledger of an oracle: every image that was paid for and its answer, on disk before anybody uses it."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, final

import numpy as np
import torch
import xxhash
from filelock import BaseFileLock
from numpy.typing import NDArray
from torch import Tensor

from edgerift.errors import StoreError
from edgerift.extract._files import KeptOpen, disk_errors, is_unwritten, locked, warn_of_zeros
from edgerift.extract._kept_rows import Answers, KeptRows, RowsInFile, RowsInMemory
from edgerift.images import in_channels
from edgerift.measure import array_of
from edgerift.steps import let_go, write_whole

FORMAT: Final = "edgerift-ledger-1"
_KEY: Final = 16
#: A header is one short line; a file without one within so many bytes is no ledger.
_LONGEST_HEADER: Final = 65536
#: How many records a block has and the CRC-32 of them.
_NUMBERS: Final = struct.Struct("<II")
_CHECKSUM: Final = struct.Struct("<I")


class _Mark(NamedTuple):
    """How far a ledger is: bytes of the file and images."""

    end: int
    images: int


def image_keys(images: Tensor | NDArray[np.uint8]) -> list[bytes]:
    """Name each image of a uint8 batch `[N,C,H,W]` by the 16 bytes of its XXH3 hash, the shape taken into account.

    A grey image has the name of the same one in three equal channels, as ledgers of version 0.1 hold it.
    """
    pixels = array_of(in_channels(images, 3)) if isinstance(images, Tensor) else images
    if pixels.shape[1] == 1:
        pixels = pixels.repeat(3, axis=1)
    shape = images.shape[2] << 16 | images.shape[3]
    content = np.ascontiguousarray(pixels).data.cast("B")
    size = len(content) // max(1, len(images))
    digest = xxhash.xxh3_128_digest
    return [digest(content[start : start + size], shape) for start in range(0, len(content), size)]


@final
class Ledger:
    """The answers that were paid for, by image; on disk when it has a path, else in memory alone.

    The file is one line of JSON (format, classes, and whose answers these are) and then a block for each batch that
    was answered together: the number N of its images, the CRC-32 of its last two parts, and the CRC-32 of the first
    line and these two numbers, each uint32; then N hashes of 16 bytes, and N times K float32. All numbers are
    little-endian. The file is only ever appended to. A last block that a kill or a power cut tore, so that its
    end is missing or zeros, is left out on opening: nothing of it was handed out, and zeros are told in a warning. Any
    other damage is an error, which tells what can be kept. One process can have a ledger open, and one thread at a
    time may use it. Answers are in memory too, unless `in_memory` is false: then they are read from the file.
    """

    def __init__(self, path: Path | None, identity: str, *, in_memory: bool = True) -> None:
        """Open or begin a ledger; raises `StoreError` for one that is damaged, in use, or another oracle's."""
        self._path = None if path is None else path.resolve()
        self._identity = identity
        self._file = None if self._path is None else KeptOpen(self._path)
        self._rows: KeptRows = RowsInMemory() if self._file is None or in_memory else RowsInFile(self._file)
        self._end = 0
        self._seal = 0
        self._flushed = _Mark(0, 0)
        self._lock: BaseFileLock | None = None
        if self._path is None:
            return
        with disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self._path)
            try:
                self._read(self._path)
            except BaseException:
                self.close()
                raise

    def __len__(self) -> int:
        """Return the number of images paid for."""
        return len(self._rows)

    def missing(self, keys: Sequence[bytes]) -> list[int]:
        """List where in `keys` an image stands that is not paid for, each such image once, at its first place."""
        first = dict(zip(reversed(keys), reversed(range(len(keys))), strict=True))
        return sorted(map(first.__getitem__, self._rows.unknown(first)))

    def answers(self, keys: Sequence[bytes]) -> Tensor:
        """Look answers up: float32 `[N,K]`, one for each key; all of them must be here."""
        return torch.from_numpy(self._rows.answers(keys))

    @contextmanager
    def appending(self) -> Iterator[None]:
        """Flush to the disk, at the end, what was appended inside; also when something else goes wrong there.

        When flushing fails, all of it is forgotten again, nothing was paid for, and `StoreError` is raised.
        """
        try:
            yield
        finally:
            self._flush()

    def append(self, keys: Sequence[bytes], answers: Tensor) -> None:
        """Add answers float32 `[N,K]` to N keys that are new, inside :meth:`appending`: all of them or none."""
        rows = np.ascontiguousarray(array_of(answers))
        if self._rows.classes not in (None, rows.shape[1]):
            raise StoreError(
                f"the ledger{self._where()} has answers of {self._rows.classes} classes, this one has "
                f"{rows.shape[1]}; it belongs to another victim, choose another path"
            )
        if self._path is not None:
            self._require_open(self._path)
            if self._end == 0:
                self._begin(self._path, rows.shape[1])
        before = _Mark(self._end, len(self))
        try:
            if self._file is not None:
                self._end = self._written(self._file, keys, rows)
            self._keep(keys, rows)
        except BaseException:
            self._roll_back(before)
            raise

    def close(self) -> None:
        """Let go of the file; what is in memory stays readable, and a ledger on disk takes no more."""
        self._rows.close()
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            let_go(self._lock)
            self._lock = None

    def _where(self) -> str:
        return "" if self._path is None else f" {self._path}"

    def _keep(self, keys: Sequence[bytes], rows: Answers) -> None:
        """Keep what stands in the file up to where it ends."""
        if len(self._rows.unknown(keys)) < len(keys):
            raise StoreError(
                f"the ledger{self._where()} would hold an image twice; do not query it while a query is running"
            )
        self._rows.add(keys, rows, self._end - rows.nbytes)

    def _begin(self, path: Path, classes: int) -> None:
        header = json.dumps({"format": FORMAT, "classes": classes, "identity": self._identity}).encode() + b"\n"
        write_whole(path, header)
        self._seal = zlib.crc32(header)
        self._end = len(header)
        self._flushed = _Mark(self._end, 0)

    def _require_open(self, path: Path) -> None:
        if self._lock is None:
            raise StoreError(f"the ledger {path} is closed; make a new oracle with it to query new images")

    def _written(self, kept: KeptOpen, keys: Sequence[bytes], rows: Answers) -> int:
        """Write a block at the end of the file and return where it ends."""
        block = _block(keys, rows, self._seal)
        with disk_errors(kept.path):
            if (found := kept.size()) < self._end:
                raise StoreError(f"the ledger {kept.path} was cut short by somebody else; delete it to start over")
            if found > self._end:  # A block that could not be removed after a failure is there still.
                kept.truncate(self._end)
            kept.write(self._end, block)
        return self._end + len(block)

    def _flush(self) -> None:
        if self._file is None or self._end == self._flushed.end:
            return
        try:
            with disk_errors(self._file.path):
                self._file.flush()
        except BaseException:
            self._roll_back(self._flushed)
            raise
        self._flushed = _Mark(self._end, len(self))
        with disk_errors(self._file.path):
            self._rows.settle()

    def _roll_back(self, mark: _Mark) -> None:
        """Forget what was not handed out, and so not paid for."""
        self._rows.cut(mark.images)
        self._end = mark.end
        if self._path is not None:
            with suppress(OSError):
                if self._path.stat().st_size > mark.end:
                    os.truncate(self._path, mark.end)

    def _read(self, path: Path) -> None:
        if not path.exists() or path.stat().st_size == 0:
            return
        with path.open("rb") as file:
            classes = self._header(path, file)
            self._rows.classes = classes
            self._end = file.tell()
            while block := self._next_block(path, file, classes):
                self._end = file.tell()
                self._keep(*block)
                self._rows.settle()
        os.truncate(path, self._end)
        self._flushed = _Mark(self._end, len(self))

    def _next_block(self, path: Path, file: BinaryIO, classes: int) -> tuple[list[bytes], Answers] | None:
        try:
            return _read_block(file, classes, self._seal)
        except _UnwrittenBlockError:
            warn_of_zeros(path, len(self), path.stat().st_size - self._end)
            return None
        except _DamagedBlockError:
            raise StoreError(
                f"the ledger {path} is damaged at byte {self._end}, behind the answers to {len(self)} images; "
                f"`truncate -s {self._end} {path}` keeps these, and the others are queried again; or delete it to "
                "start over"
            ) from None

    def _header(self, path: Path, file: BinaryIO) -> int:
        line = file.readline(_LONGEST_HEADER)
        try:
            header = json.loads(line)
            known, classes, identity = header["format"], header["classes"], header["identity"]
        except (ValueError, TypeError, KeyError):
            known, classes, identity = "", 0, ""
        if known != FORMAT or not line.endswith(b"\n") or not isinstance(classes, int) or classes < 1:
            raise StoreError(f"{path} is not a ledger; choose another path")
        if identity != self._identity:
            raise StoreError(
                f"the ledger {path} belongs to another victim or to other defences; choose another path for this one"
            )
        self._seal = zlib.crc32(line)
        return classes


def _block(keys: Sequence[bytes], rows: Answers, seal: int) -> bytes:
    records = b"".join(keys) + rows.astype("<f4", copy=False).tobytes()
    numbers = _NUMBERS.pack(len(keys), zlib.crc32(records))
    return numbers + _CHECKSUM.pack(zlib.crc32(numbers, seal)) + records


class _DamagedBlockError(Exception):
    """A block that was written whole is not as it was written."""


class _UnwrittenBlockError(Exception):
    """A last block whose end is zeros, as a power cut leaves it."""


def _read_block(file: BinaryIO, classes: int, seal: int) -> tuple[list[bytes], Answers] | None:
    """Read a block's keys and answers; None at the end of the file and for a last block without its end."""
    head = file.read(_NUMBERS.size + _CHECKSUM.size)
    if len(head) < _NUMBERS.size + _CHECKSUM.size:
        return None
    numbers, checksum = head[: _NUMBERS.size], head[_NUMBERS.size :]
    if _CHECKSUM.pack(zlib.crc32(numbers, seal)) != checksum:
        # A power cut may leave the zeros of a file that grew before its content came.
        if not any(head) and not any(file.read()):
            raise _UnwrittenBlockError
        raise _DamagedBlockError
    count, content = _NUMBERS.unpack(numbers)
    size = count * (_KEY + 4 * classes)
    place = file.tell()
    records = file.read(size)
    if len(records) < size:
        return None
    if zlib.crc32(records) != content:
        if any(file.read()) or not is_unwritten(records, place, 4 * classes):
            raise _DamagedBlockError
        raise _UnwrittenBlockError
    keys = np.frombuffer(records, f"V{_KEY}", count).tolist()
    return keys, np.frombuffer(records, "<f4", offset=count * _KEY).reshape(count, classes)
