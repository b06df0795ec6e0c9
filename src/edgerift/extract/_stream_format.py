"""How the ledger of generated images lies on disk: batches of 24 bytes in one file, answers in another."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, Literal, NamedTuple, TypeAlias

import numpy as np
import xxhash
from torch import Tensor

from edgerift.errors import StoreError
from edgerift.extract._files import is_unwritten
from edgerift.images import in_channels

_FORMAT: Final = "edgerift-stream-1"
_LONGEST_HEADER: Final = 65536
#: A batch in the ledger: how many images, their checksum, their answers' checksum, and the CRC-32 of these three.
_BATCH: Final = struct.Struct("<IQQI")
#: Answers on disk: the batch's number, how many rows and columns, and the CRC-32 of these three and of the rows.
_BLOCK: Final = struct.Struct("<IIII")

Tail: TypeAlias = Literal["torn", "zeros", "damaged"]
Rows: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"


class Batch(NamedTuple):
    """A batch that was paid for: its number of images, the XXH3 of their bytes and of their answers' bytes."""

    size: int
    images: int
    answers: int


class Block(NamedTuple):
    """The answers to the batch of a number, one row for each image."""

    number: int
    rows: Rows


def answers_path(path: Path) -> Path:
    """Name the file of the answers that belongs to a ledger."""
    return path.with_name(f"{path.name}.answers")


def checksum(images: Tensor) -> int:
    """Compute the XXH3 of a batch's bytes, its type and shape taken into account; a grey image counts in colour.

    So do the ledgers of version 0.1, whose grey images had three equal channels.
    """
    rows = in_channels(images, 3).detach().cpu().contiguous()
    shape = xxhash.xxh3_64_intdigest(f"{rows.dtype} {tuple(rows.shape)}".encode())
    return xxhash.xxh3_64_intdigest(rows.numpy().data, shape)


def rows_checksum(rows: Rows) -> int:
    """Compute the XXH3 of the bytes of answers."""
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(rows, "<f4").data)


def pack_header(identity: str) -> bytes:
    """Write the first line of a ledger."""
    return json.dumps({"format": _FORMAT, "identity": identity}).encode() + b"\n"


def read_header(path: Path, file: BinaryIO) -> str:
    """Read whose answers a ledger has; raises `StoreError` when the file is none."""
    line = file.readline(_LONGEST_HEADER)
    try:
        header = json.loads(line)
        known, identity = header["format"], header["identity"]
    except (ValueError, TypeError, KeyError):
        known, identity = "", ""
    if known != _FORMAT or not line.endswith(b"\n"):
        raise StoreError(f"{path} is not a ledger of generated images; choose another path")
    return str(identity)


def pack_batch(batch: Batch) -> bytes:
    """Write a batch."""
    return _BATCH.pack(*batch, _seal(batch))


def read_batches(path: Path, file: BinaryIO) -> list[Batch]:
    """Read all batches, and leave the file behind the last whole one; raises `StoreError` for a damaged one."""
    start = file.tell()
    content = file.read()
    whole = len(content) // _BATCH.size * _BATCH.size
    batches: list[Batch] = []
    for size, images, answers, seal in _BATCH.iter_unpack(content[:whole]):
        batch = Batch(size, images, answers)
        if seal != _seal(batch):
            place = start + len(batches) * _BATCH.size
            raise StoreError(f"the ledger {path} is damaged at byte {place}; delete it to start over")
        batches.append(batch)
    file.seek(start + whole)
    return batches


def pack_block(block: Block) -> bytes:
    """Write answers."""
    head = struct.pack("<III", block.number, *block.rows.shape)
    content = np.ascontiguousarray(block.rows, "<f4").tobytes()
    return head + struct.pack("<I", zlib.crc32(content, zlib.crc32(head))) + content


def read_block(file: BinaryIO, end: int) -> Block | None:
    """Read the next answers of a file of `end` bytes; None where none follow that are whole."""
    head = file.read(_BLOCK.size)
    if len(head) < _BLOCK.size:
        return None
    number, rows, columns, seal = _BLOCK.unpack(head)
    if 4 * rows * columns > end - file.tell():
        return None
    content = bytearray(file.read(4 * rows * columns))
    if seal != zlib.crc32(content, zlib.crc32(head[:12])):
        return None
    return Block(number, np.frombuffer(content, "<f4").reshape(rows, columns))


def examine_tail(file: BinaryIO, place: int, batches: Sequence[Batch]) -> Tail:
    """Tell what follows the last whole answers, from byte `place` on.

    Torn answers have no end, or zeros there; where they belong to a batch that was paid for they have its size.
    """
    file.seek(place)
    rest = file.read()
    if len(rest) < _BLOCK.size:
        return "torn"
    if not any(rest):
        return "zeros"
    number, rows, columns, _ = _BLOCK.unpack(rest[: _BLOCK.size])
    if 4 * rows * columns > len(rest) - _BLOCK.size:
        return "damaged" if number < len(batches) and rows != batches[number].size else "torn"
    return "zeros" if is_unwritten(rest, place, 4 * columns) else "damaged"


def _seal(batch: Batch) -> int:
    return zlib.crc32(struct.pack("<IQQ", *batch))
