"""Reading back the answers that an attack without images was given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from edgerift.errors import StoreError
from edgerift.extract._files import disk_errors
from edgerift.extract._stream_format import answers_path, checksum, read_batches, read_block, read_header, rows_checksum


class KeptAnswers(NamedTuple):
    """The answers to one batch of generated images, which are not kept themselves.

    `images` is the XXH3 checksum of the batch as the victim saw it: uint8 `[N,C,H,W]`, or float32 where the oracle
    answers floats as they are. `answers` are posterior probabilities float32 `[N,K]` on the CPU, as the attacker got
    them.
    """

    images: int
    answers: Tensor

    def is_of(self, images: Tensor) -> bool:
        """Say whether these are the answers to this very batch, given as the victim saw it."""
        return checksum(images) == self.images


def kept_answers(ledger: Path | str) -> Iterator[KeptAnswers]:
    """Read every answer of a theft that kept them, batch by batch in the order in which they were paid for.

    `ledger` is the path that the :class:`Oracle` was given with `keep=True`, or `DIR/ledger` of
    `edgerift extract --keep-answers`. One batch is in memory at a time, and nothing is written. Each is compared with
    the checksum that was paid for.

    Raises :class:`~edgerift.errors.StoreError` where there is no ledger of generated images, and where answers are
    missing or damaged.
    """
    path = Path(ledger)
    path = path.with_name(f"{path.name}.stream")
    if not path.exists():
        raise StoreError(
            f"there is no ledger of generated images at {path}; give the path that the oracle has, without .stream"
        )
    with disk_errors(path, outcome=""), path.open("rb") as file:
        read_header(path, file)
        batches = read_batches(path, file)
    held = answers_path(path)
    if not held.exists():
        raise StoreError(f"{held} is not there: this theft kept no answers; steal with --keep-answers, or keep=True")
    with disk_errors(held, outcome=""), held.open("rb") as file:
        end = held.stat().st_size
        for number, batch in enumerate(batches):
            block = read_block(file, end)
            if block is None or block.number != number or rows_checksum(block.rows) != batch.answers:
                raise StoreError(
                    f"{held} lacks the answers to batch {number} of {len(batches)}, or they are damaged; a theft keeps "
                    "all of them only with --keep-answers, or keep=True, from its beginning"
                )
            yield KeptAnswers(batch.images, torch.from_numpy(block.rows))
