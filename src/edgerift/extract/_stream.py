"""The ledger of images that an attack generates: millions of them, in columns of counts and checksums."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, final

import torch
from filelock import BaseFileLock
from torch import Tensor

from edgerift.errors import StoreError
from edgerift.extract._files import disk_errors, locked, warn_of_zeros, write_all
from edgerift.extract._stream_format import (
    Batch,
    Block,
    answers_path,
    checksum,
    examine_tail,
    pack_batch,
    pack_block,
    pack_header,
    read_batches,
    read_block,
    read_header,
    rows_checksum,
)
from edgerift.steps import let_go, require_regular, write_whole


@final
class Stream:
    """The generated images that were paid for, batch by batch, in the order in which they were queried.

    Each batch takes 24 bytes, whatever it holds: so 20 million answers do not fill a disk. Answers are on disk before
    they are handed out, in a second file `PATH.answers`, until they are settled; with `keep` they stay for good. An
    attack that was killed begins again at a place where it settled, and gets the batches behind that from the file: it
    has to query the same images.

    Both files are appended to and cut, never rewritten. What a kill tore off at their ends is left out on opening.
    They survive a killed process. A power cut may take what was appended since the attack last settled: when it takes
    answers and leaves their batches, that is an error.
    """

    def __init__(self, path: Path | None, identity: str, *, keep: bool = False) -> None:
        """Open or begin a ledger; raises `StoreError` for one that is damaged, in use, or another oracle's."""
        self._path = None if path is None else path.resolve()
        self._identity, self._keep = identity, keep
        # The batches from number `first` on, which may be queried again; those before are settled.
        self._batches: list[Batch] = []
        self._first, self._first_asked = 0, 0
        self._place, self._asked, self._paid = 0, 0, 0
        self._blocks: dict[int, int] = {}
        self._records: BinaryIO | None = None
        self._answers: BinaryIO | None = None
        self._lock: BaseFileLock | None = None
        self._is_closed = False
        # How long the two files are, answers and batches; what is behind could not be removed after a failure.
        self._ends = (0, 0)
        if self._path is None:
            return
        require_regular(self._path)
        require_regular(answers_path(self._path))
        if not self._path.exists():
            return
        with disk_errors(self._path):
            self._open(self._path)

    @property
    def asked(self) -> int:
        """How many images the attack has queried so far, from its beginning."""
        return self._asked

    @property
    def paid(self) -> int:
        """How many images were paid for."""
        return self._paid

    def paid_before(self, images: Tensor) -> Tensor | None:
        """Look up the answers to the next batch; None when it is new.

        Raises `StoreError` when another batch was queried at this place, or its answers are gone.
        """
        if self._is_at_the_end:
            return None
        batch = self._batches[self._place - self._first]
        if batch.size != len(images) or batch.images != checksum(images):
            raise StoreError(
                f"the ledger{self._where()} has other images at number {self._asked} than this attack queries; give "
                "the settings, the seed, the device and the number of threads that it was begun with, since another "
                "order of sums makes other images, or delete it to start over"
            )
        if self._is_closed:
            raise StoreError(f"the ledger{self._where()} is closed; make a new oracle with it to continue")
        answers = self._read_block(self._place)
        if answers is None:
            raise StoreError(
                f"the ledger{self._where()} has no more answers for images from number {self._asked} on: the "
                "attack has to resume from its checkpoint; delete the ledger to start over"
            )
        self._place, self._asked = self._place + 1, self._asked + batch.size
        return answers

    def append(self, images: Tensor, answers: Tensor) -> None:
        """Pay for a batch of new images `[N,C,H,W]` with answers float32 `[N,K]` on the CPU: all of it or nothing."""
        if self._path is not None:
            block = Block(self._place, answers.numpy())
            batch = Batch(len(images), checksum(images), rows_checksum(block.rows))
            with disk_errors(self._path):
                ends = self._written(self._path, batch, pack_block(block))
            self._blocks[self._place] = self._ends[0]
            self._batches.append(batch)
            self._place, self._ends = self._place + 1, ends
        self._asked, self._paid = self._asked + len(images), self._paid + len(images)

    def settle(self) -> None:
        """Bring all to the disk, and drop the answers that were handed out: the attack will not go back behind here."""
        if self._records is None or self._answers is None or self._path is None:
            return
        with disk_errors(self._path):
            if not self._keep and self._is_at_the_end:
                self._answers.truncate(0)
                self._ends = 0, self._ends[1]
                self._blocks.clear()
            for file in (self._answers, self._records):
                os.fsync(file.fileno())
        if self._is_at_the_end:
            self._first, self._first_asked = self._place, self._asked
            self._batches.clear()
            self._blocks.clear()

    def seek(self, asked: int) -> None:
        """Go on behind the first `asked` images; raises `StoreError` when no batch ends there."""
        if self._path is None:
            if asked == self._asked:
                return
            raise StoreError(
                f"the attack stands at {asked} generated images and this oracle, which has no ledger to go back or on "
                f"in, at {self._asked}; give it the ledger that belongs to the checkpoint, or begin with a new oracle"
            )
        place, total = self._first, self._first_asked
        for batch in self._batches:
            if total >= asked:
                break
            place, total = place + 1, total + batch.size
        if total != asked:
            raise StoreError(
                f"the ledger{self._where()} does not have the {asked} images that the attack has queried; delete "
                "the attack's checkpoint to start over"
            )
        self._place, self._asked = place, asked

    def close(self) -> None:
        """Let go of the files; nothing can be paid for after that."""
        self._is_closed = True
        self._release()

    def _release(self) -> None:
        for file in (self._records, self._answers):
            if file is not None:
                file.close()
        self._records = self._answers = None
        if self._lock is not None:
            let_go(self._lock)
            self._lock = None

    @property
    def _is_at_the_end(self) -> bool:
        return self._place == self._first + len(self._batches)

    def _where(self) -> str:
        return "" if self._path is None else f" {self._path}"

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = locked(path)
        try:
            if not path.exists() or path.stat().st_size == 0:
                write_whole(path, pack_header(self._identity))
            self._records = path.open("r+b", buffering=0)
            self._read_records(path, self._records)
            held = answers_path(path)
            held.touch()
            self._answers = held.open("r+b", buffering=0)
            self._read_blocks(held, self._answers)
            self._ends = self._answers.tell(), self._records.tell()
        except BaseException:
            self._release()
            raise

    def _read_records(self, path: Path, file: BinaryIO) -> None:
        if read_header(path, file) != self._identity:
            raise StoreError(
                f"the ledger {path} belongs to another victim or to other defences; choose another path for this one"
            )
        self._batches = read_batches(path, file)
        self._paid = sum(batch.size for batch in self._batches)
        file.truncate()

    def _read_blocks(self, path: Path, file: BinaryIO) -> None:
        """Find the answers that are on disk; a last block that is torn or unpaid is cut off."""
        size = file.seek(0, os.SEEK_END)
        end = file.seek(0)
        while (block := read_block(file, size)) is not None and block.number < len(self._batches):
            self._blocks[block.number] = end
            end = file.tell()
        tail = examine_tail(file, end, self._batches) if block is None else "torn"
        if tail == "damaged":
            raise StoreError(
                f"the answers {path} are damaged at byte {end}; delete them and the ledger {self._path} to start over"
            )
        if tail == "zeros":
            warn_of_zeros(path, sum(self._batches[number].size for number in self._blocks), size - end)
        file.truncate(end)
        file.seek(end)

    def _read_block(self, number: int) -> Tensor | None:
        if number not in self._blocks or self._answers is None:
            return None
        self._answers.seek(self._blocks[number])
        block = read_block(self._answers, self._ends[0])
        return None if block is None else torch.from_numpy(block.rows)

    def _written(self, path: Path, batch: Batch, block: bytes) -> tuple[int, int]:
        """Write answers and then their batch, both or neither, and return where the two files end."""
        if self._is_closed:
            raise StoreError(f"the ledger {path} is closed; make a new oracle with it to query new images")
        if self._records is None:
            self._open(path)
        assert self._records is not None
        assert self._answers is not None
        record = pack_batch(batch)
        try:
            self._cut()
            write_all(self._answers, block)
            write_all(self._records, record)
        except BaseException:
            # Nothing of it is handed out, so nothing was paid for.
            with suppress(OSError):
                self._cut()
            raise
        return self._ends[0] + len(block), self._ends[1] + len(record)

    def _cut(self) -> None:
        """Cut off what is behind the ends of the two files, and go there."""
        for file, end in zip((self._answers, self._records), self._ends, strict=True):
            assert file is not None
            file.truncate(end)
            file.seek(end)
