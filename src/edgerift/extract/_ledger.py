"""The ledger of an oracle: every image that was paid for and its answer, on disk before anybody uses it."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import BinaryIO, Final, final

import numpy as np
import torch
import xxhash
from filelock import FileLock, Timeout
from torch import Tensor

from edgerift.errors import StoreError

FORMAT: Final = "edgerift-ledger-1"
_KEY: Final = 16
_CHECKSUM: Final = 4
#: A header is one short line; a file without one within so many bytes is no ledger.
_LONGEST_HEADER: Final = 65536


def image_keys(images: Tensor) -> list[bytes]:
    """Name each image of a uint8 batch `[N,3,H,W]` by the 16 bytes of its XXH3 hash, the shape taken into account."""
    rows = images.detach().cpu().contiguous().reshape(len(images), -1).numpy()
    shape = images.shape[2] << 16 | images.shape[3]
    digest = xxhash.xxh3_128_digest
    return [digest(row, shape) for row in rows]


@final
class Ledger:
    """The answers that were paid for, by image; on disk when it has a path, else in memory alone.

    The file is one line of JSON (format, classes, and whose answers these are) and then a record for each image: 16
    bytes of its hash, K float32 of its answer in little-endian order, and the CRC-32 of both. It is only ever
    appended to. The last record is left out on opening when a kill cut it off; any other damage is an error. One
    process can have a ledger open.
    """

    def __init__(self, path: Path | None, identity: str) -> None:
        """Open or begin a ledger; raises `StoreError` for one that is damaged, in use, or another oracle's."""
        self._path = path
        self._identity = identity
        self._rows: dict[bytes, int] = {}
        self._blocks: list[Tensor] = []
        self._answers: Tensor | None = None
        self._file: BinaryIO | None = None
        self._lock: FileLock | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(path)
            if path.exists() and path.stat().st_size:
                self._read(path)

    def __len__(self) -> int:
        """Return the number of images paid for."""
        return len(self._rows)

    def __contains__(self, key: bytes) -> bool:
        """Tell whether an image was paid for."""
        return key in self._rows

    def answers(self, keys: list[bytes]) -> Tensor:
        """Look answers up: float32 `[N,K]`, one for each key; all of them must be here."""
        if self._answers is None or len(self._answers) != len(self._rows):
            self._answers = torch.cat([*([] if self._answers is None else [self._answers]), *self._blocks])
            self._blocks = []
        return self._answers[torch.tensor([self._rows[key] for key in keys], dtype=torch.int64)]

    def append(self, keys: list[bytes], answers: Tensor) -> None:
        """Add answers float32 `[N,K]` to keys that are new; on disk when this returns, or not added at all."""
        answers = answers.detach().cpu().contiguous()
        if self._path is not None:
            self._write(keys, answers)
        first = len(self._rows)
        self._rows.update((key, first + place) for place, key in enumerate(keys))
        self._blocks.append(answers)

    def close(self) -> None:
        """Let go of the file; what was paid for stays readable in memory."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            self._lock.release()

    def _write(self, keys: list[bytes], answers: Tensor) -> None:
        assert self._path is not None
        if self._file is None:
            self._file = self._opened(self._path, answers.shape[1])
        rows = answers.numpy().astype("<f4", copy=False)
        end = self._file.tell()
        try:
            self._file.write(b"".join(_record(key, row.tobytes()) for key, row in zip(keys, rows, strict=True)))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            # Half a batch must not stand in the file: its images were not handed out, so they were not paid for.
            os.ftruncate(self._file.fileno(), end)
            self._file.seek(end)
            raise StoreError(
                f"the ledger {self._path} cannot be written ({error.strerror}); no answer was handed out, free some "
                "space and run again"
            ) from error

    def _opened(self, path: Path, classes: int) -> BinaryIO:
        if not path.exists() or path.stat().st_size == 0:
            header = {"format": FORMAT, "classes": classes, "identity": self._identity}
            path.write_bytes(json.dumps(header).encode() + b"\n")
        file = path.open("r+b", buffering=0)
        file.seek(0, os.SEEK_END)
        return file

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        classes, start = self._header(path, content)
        size = _KEY + 4 * classes + _CHECKSUM
        whole = (len(content) - start) // size
        table = np.frombuffer(content, np.uint8, whole * size, start).reshape(whole, size)
        good = _sound(table)
        if good < whole - 1:
            raise StoreError(f"record {good + 1} of {whole} in the ledger {path} is damaged; delete it to begin anew")
        if start + good * size < len(content):
            with path.open("r+b") as file:
                file.truncate(start + good * size)
        answers = table[:good, _KEY:-_CHECKSUM].copy().view("<f4").astype(np.float32, copy=False)
        self._rows = {table[row, :_KEY].tobytes(): row for row in range(good)}
        self._blocks = [torch.from_numpy(answers)] if good else []

    def _header(self, path: Path, content: bytes) -> tuple[int, int]:
        line, newline, _ = content[:_LONGEST_HEADER].partition(b"\n")
        try:
            header = json.loads(line)
            known, classes, identity = header["format"], int(header["classes"]), header["identity"]
        except (ValueError, TypeError, KeyError):
            known, classes, identity = "", 0, ""
        if known != FORMAT or not newline or classes < 1:
            raise StoreError(f"{path} is not a ledger; choose another path")
        if identity != self._identity:
            raise StoreError(
                f"the ledger {path} belongs to another victim or to other defences; choose another path for this one"
            )
        return classes, len(line) + 1


def _record(key: bytes, answer: bytes) -> bytes:
    content = key + answer
    return content + zlib.crc32(content).to_bytes(_CHECKSUM, "little")


def _sound(table: np.ndarray) -> int:
    """Count the records from the start whose checksum holds."""
    for row, record in enumerate(table):
        content = record.tobytes()
        if zlib.crc32(content[:-_CHECKSUM]).to_bytes(_CHECKSUM, "little") != content[-_CHECKSUM:]:
            return row
    return len(table)


def _locked(path: Path) -> FileLock:
    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise StoreError(f"the ledger {path} is in use by another oracle; close that one first") from None
    return lock
